/**
 * What the virtual machine is made of, as data: packages, files, and the little program in it that runs what the host
 * asks for. Whatever is changed here makes a new image at the next run.
 *
 * @module
 */

/** The machine's Debian: systemd as its first process, and what tests call. Busybox is also the containers' root. */
export const packages: readonly string[] = [
  "apparmor",
  "bsdutils",
  "busybox-static",
  "containerd",
  "criu",
  "crun",
  "dbus",
  "dbus-user-session",
  "iproute2",
  "iptables",
  "kmod",
  "libpam-systemd",
  "procps",
  "python3-minimal",
  "runc",
  "strace",
  "systemd",
  "systemd-sysv",
  "uidmap",
];

/** Package whose newest dependency is the kernel's: the one for virtual machines, which starts soonest. */
export const kernelPackage = "linux-image-cloud-amd64";

/** Modules that the first file system loads before the root file system can be mounted, in this order. */
export const earlyModules: readonly string[] = [
  "virtio_ring",
  "virtio",
  "virtio_pci_legacy_dev",
  "virtio_pci_modern_dev",
  "virtio_pci",
  "virtio_blk",
  "virtio_console",
];

/** Directories of the kernel's modules that are left out: none of their devices is in the machine. */
export const leftOutModules: readonly string[] = [
  "drivers/infiniband",
  "drivers/scsi",
  "drivers/net/ethernet",
  "sound",
];

/** Directories of the root file system that no test looks at. */
export const leftOutDirectories: readonly string[] = [
  "usr/share/doc",
  "usr/share/man",
  "usr/share/locale",
  "var/cache/apt",
];

/** Units that would only cost time, or wait for a terminal that is not there. */
export const maskedUnits: readonly string[] = [
  "apparmor.service",
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "console-getty.service",
  "containerd.service",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "e2scrub_reap.service",
  "fstrim.timer",
  "getty@tty1.service",
  "serial-getty@ttyS0.service",
  "systemd-firstboot.service",
];

/** First process of the first file system: loads the modules and goes over to the root file system. */
export const firstProcess = `#!/bin/busybox sh
busybox mkdir -p /dev /new
busybox mount -t devtmpfs none /dev
for module in ${earlyModules.join(" ")}; do busybox insmod /modules/$module.ko; done
busybox mount -t ext4 /dev/vda /new
exec busybox switch_root /new /sbin/init
`;

/** Name of the port that the agent reads; its device has no other name, as no udev runs. */
export const agentDevice = "/dev/vport0p1";

/**
 * The agent. A request is a line "SECONDS BASE64": a script for bash, and how long it may run. The answer is a line
 * "CODE BYTES BYTES", and then the two outputs. Only one runs at a time.
 */
export const agent = `#!/bin/bash
cd /
export HOME=/root LC_ALL=C.UTF-8 NO_COLOR=1
tar -xf /dev/vdb -C /
for library in /usr/local/lib/barge/*/lib/barge; do ln /usr/local/lib/barge/deno "$library/deno"; done
exec 3<>${agentDevice}
while :; do
  # The end of the file means that the host is not there yet.
  read -r -u 3 seconds text || { sleep 0.1; continue; }
  base64 -d <<<"$text" >/run/agent/script
  timeout -k 5 "$seconds" bash /run/agent/script </dev/null >/run/agent/stdout 2>/run/agent/stderr 3>&-
  code=$?
  set -- $(stat -c %s /run/agent/stdout /run/agent/stderr)
  printf '%s %s %s\\n' "$code" "$1" "$2" >&3
  head -c "$1" /run/agent/stdout >&3
  head -c "$2" /run/agent/stderr >&3
done
`;

/** The agent's unit. It delegates its cgroup, so that what tests start may make cgroups below. */
export const agentUnit = `[Unit]
Description=Runs what the host asks for
After=basic.target dbus.socket
[Service]
ExecStart=/bin/bash /usr/local/lib/agent
RuntimeDirectory=agent
KillMode=process
TasksMax=infinity
LimitNOFILE=524288
[Install]
WantedBy=multi-user.target
`;

/** Files of the root file system beside the packages': path → text. */
export const files: Readonly<Record<string, string>> = {
  "etc/fstab": "",
  "etc/hostname": "vm\n",
  "etc/hosts": "127.0.0.1 localhost vm\n",
  "etc/machine-id": "00000000000000000000000000000001\n",
  "usr/local/lib/agent": agent,
  "etc/systemd/system/agent.service": agentUnit,
  "etc/systemd/journald.conf.d/memory.conf": "[Journal]\nStorage=volatile\n",
};

/** Words that the kernel gets. */
export const kernelCommandLine = "console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off";

/** All of the recipe, as one text. */
export function recipeText(): string {
  return JSON.stringify({
    packages,
    kernelPackage,
    earlyModules,
    leftOutModules,
    leftOutDirectories,
    maskedUnits,
    firstProcess,
    files,
    deno: Deno.version.deno,
  });
}
