/**
 * Masked and read-only paths, device nodes, kernel settings.
 *
 * @module
 */
import type { Device, DeviceRule } from "../../../api/oci/runtime_spec.ts";
import { type Case, type FullSpec, inside, refused } from "../case.ts";

const masked = (...paths: string[]) => (spec: FullSpec) => spec.linux.maskedPaths = paths;
const readonly = (...paths: string[]) => (spec: FullSpec) => spec.linux.readonlyPaths = paths;

/** Cases of `linux.maskedPaths` and `linux.readonlyPaths`. */
export const pathCases: readonly Case[] = [
  inside("a masked file is empty", "wc -c < /secret; stat -c %F /secret", "0\ncharacter special file", {
    prepare: ({ rootfs }) => Deno.writeTextFileSync(`${rootfs}/secret`, "secret"),
    change: masked("/secret"),
  }),
  inside("what is written to a masked file is lost", "echo x > /secret; wc -c < /secret", "0", {
    prepare: ({ rootfs }) => Deno.writeTextFileSync(`${rootfs}/secret`, "secret"),
    change: masked("/secret"),
  }),
  inside(
    "a masked directory is empty and read-only",
    "ls -A /secrets | wc -l; touch /secrets/x 2>/dev/null || echo refused",
    "0\nrefused",
    {
      prepare: ({ rootfs }) => {
        Deno.mkdirSync(`${rootfs}/secrets`);
        Deno.writeTextFileSync(`${rootfs}/secrets/one`, "secret");
      },
      change: masked("/secrets"),
    },
  ),
  inside("a masked path that is missing is passed over", "test -e /missing || echo missing", "missing", {
    change: masked("/missing", "/missing/deeper"),
  }),
  inside("a path that is masked twice is masked", "wc -c < /secret", "0", {
    prepare: ({ rootfs }) => Deno.writeTextFileSync(`${rootfs}/secret`, "secret"),
    change: masked("/secret", "/./secret"),
  }),
  inside("a masked path below another is masked with it", "ls -A /secrets | wc -l", "0", {
    prepare: ({ rootfs }) => {
      Deno.mkdirSync(`${rootfs}/secrets`);
      Deno.writeTextFileSync(`${rootfs}/secrets/one`, "secret");
    },
    change: masked("/secrets/one", "/secrets"),
  }),
  inside("a fifo is masked", "stat -c %F /fifo", "character special file", {
    prepare: async ({ rootfs }) => void await new Deno.Command("mkfifo", { args: [`${rootfs}/fifo`] }).output(),
    change: masked("/fifo"),
  }),
  inside(
    "files of the kernel are masked",
    "wc -c < /proc/keys; wc -c < /proc/timer_list; ls /sys/firmware | wc -l",
    "0\n0\n0",
  ),
  inside("a read-only file cannot be written to", "echo x 2>/dev/null > /fixed || cat /fixed", "fixed", {
    prepare: ({ rootfs }) => Deno.writeTextFileSync(`${rootfs}/fixed`, "fixed"),
    change: readonly("/fixed"),
  }),
  inside("a read-only directory holds for all below", "touch /fixed/sub/x 2>/dev/null || echo refused", "refused", {
    prepare: ({ rootfs }) => Deno.mkdirSync(`${rootfs}/fixed/sub`, { recursive: true }),
    change: readonly("/fixed"),
  }),
  inside("a read-only path that is missing is passed over", "echo ok", "ok", { change: readonly("/missing") }),
  inside(
    "a read-only mount keeps its other attributes",
    "awk '$5==\"/m\" { print $6 }' /proc/self/mountinfo | tail -1",
    /ro,nosuid,nodev,noexec/,
    {
      change: (spec) => {
        spec.mounts.push({ destination: "/m", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "noexec"] });
        spec.linux.readonlyPaths = ["/m"];
      },
    },
  ),
  inside(
    "settings of the kernel are read-only",
    "echo 1 2>/dev/null > /proc/sys/kernel/msgmax || echo refused",
    "refused",
  ),
  inside("sysrq-trigger is read-only", "echo h 2>/dev/null > /proc/sysrq-trigger || echo refused", "refused"),
  inside("masked and read-only at once is masked", "ls -A /both | wc -l", "0", {
    prepare: ({ rootfs }) => {
      Deno.mkdirSync(`${rootfs}/both`);
      Deno.writeTextFileSync(`${rootfs}/both/one`, "secret");
    },
    change: (spec) => {
      spec.linux.maskedPaths = ["/both"];
      spec.linux.readonlyPaths = ["/both"];
    },
  }),
];

/** A device of the spec, and what stat shows of it: kind, mode, user, group, numbers in hexadecimal. */
const device = (name: string, given: Device, shown: string): Case =>
  inside(name, `stat -c '%F %a %u %g %t %T' ${given.path}`, shown, { change: (spec) => spec.linux.devices = [given] });

/** Rules, and how often opening the device (fuse) for reading and for writing is refused. */
const opened = (name: string, rules: readonly DeviceRule[], out: string): Case =>
  inside(
    name,
    "for how in '<' '>'; do sh -c \": $how /dev/own\" 2>&1 | grep -c 'not permitted'; done | tr '\\n' ' '",
    out,
    {
      change: (spec) => {
        spec.linux.devices = [{ type: "c", path: "/dev/own", major: 10, minor: 229, fileMode: 0o666 }];
        spec.linux.resources = { devices: [{ allow: false, access: "rwm" }, ...rules] };
      },
    },
  );

/** Cases of `linux.devices` and of the devices that each container has. */
export const deviceCases: readonly Case[] = [
  inside(
    "the devices of every container are there",
    "for d in null zero full random urandom tty; do stat -c '%n %F %a %t %T' /dev/$d; done",
    "/dev/null character special file 666 1 3\n/dev/zero character special file 666 1 5\n/dev/full character special file 666 1 7\n" +
      "/dev/random character special file 666 1 8\n/dev/urandom character special file 666 1 9\n/dev/tty character special file 666 5 0",
  ),
  inside(
    "the links of every container are there",
    "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done",
    "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx",
  ),
  inside("there is no console without a terminal", "test -e /dev/console || echo none", "none"),
  inside(
    "nothing else is in /dev",
    "ls /dev | tr '\\n' ' '",
    /^(core )?fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero $/,
  ),
  inside(
    "devices work",
    "head -c 5 /dev/zero | wc -c; echo x > /dev/null; head -c 2 /dev/urandom | wc -c; echo x 2>/dev/null > /dev/full || echo full",
    "5\n2\nfull",
  ),
  device("a character device with mode and owner", {
    type: "c",
    path: "/dev/own",
    major: 10,
    minor: 229,
    fileMode: 0o640,
    uid: 5,
    gid: 6,
  }, "character special file 640 5 6 a e5"),
  device(
    "a block device",
    { type: "b", path: "/dev/disk", major: 7, minor: 0, fileMode: 0o600, uid: 0, gid: 0 },
    "block special file 600 0 0 7 0",
  ),
  device("a fifo", { type: "p", path: "/dev/fifo", fileMode: 0o622, uid: 1, gid: 2 }, "fifo 622 1 2 0 0"),
  device("a device in a directory that is made", {
    type: "c",
    path: "/dev/net/deep/tun",
    major: 10,
    minor: 200,
    fileMode: 0o666,
  }, "character special file 666 0 0 a c8"),
  device(
    "a device outside of /dev",
    { type: "c", path: "/other", major: 1, minor: 3, fileMode: 0o666 },
    "character special file 666 0 0 1 3",
  ),
  {
    ...device("an unbuffered device is a character device", {
      type: "u",
      path: "/dev/u",
      major: 1,
      minor: 5,
      fileMode: 0o600,
    }, "character special file 600 0 0 1 5"),
    except: { runc: "runc 1.1 cannot make a node of this type" },
  },
  inside(
    "a device that the rules do not allow cannot be opened",
    "head -c 1 /dev/loop 2>&1 | head -1",
    /not permitted|No such device/i,
    {
      change: (spec) => spec.linux.devices = [{ type: "b", path: "/dev/loop", major: 7, minor: 0, fileMode: 0o666 }],
    },
  ),
  opened("a device that the rules allow can be opened", [{
    allow: true,
    type: "c",
    major: 10,
    minor: 229,
    access: "rw",
  }], "0 0"),
  opened("the right to read alone is no right to write", [{
    allow: true,
    type: "c",
    major: 10,
    minor: 229,
    access: "r",
  }], "0 1"),
  opened("a right may be for all devices of a number", [{ allow: true, type: "c", major: 10, access: "rw" }], "0 0"),
  opened("a later rule takes a right back", [
    { allow: true, type: "c", major: 10, minor: 229, access: "rwm" },
    { allow: false, type: "c", major: 10, minor: 229, access: "rwm" },
  ], "1 1"),
  inside("nodes of any device may be made", "mknod /tmp/node c 250 1 && stat -c '%t %T' /tmp/node", "fa 1", {
    change: (spec) => {
      for (const set of ["bounding", "effective", "permitted"] as const) {
        spec.process.capabilities![set]!.push("CAP_MKNOD");
      }
    },
  }),
  refused("a rule without access is refused", (spec) => {
    spec.linux.resources = { devices: [{ allow: true, type: "c", major: 1, minor: 3, access: "" }] };
  }, /access/i),
  refused("a rule of an unknown type is refused", (spec) => {
    spec.linux.resources = { devices: [{ allow: true, type: "x", major: 1, minor: 3, access: "r" }] };
  }, /type/i),
];

const sysctl = (name: string, value: string): Case =>
  inside(`the setting ${name} is written`, `cat /proc/sys/${name.replaceAll(".", "/")} | tr '\\t' ' '`, value, {
    change: (spec) => spec.linux.sysctl = { [name]: value },
  });

/** Cases of `linux.sysctl`. */
export const sysctlCases: readonly Case[] = [
  sysctl("net.ipv4.ip_forward", "1"),
  sysctl("net.ipv4.ip_local_port_range", "2000 3000"),
  sysctl("kernel.msgmax", "9999"),
  sysctl("kernel.shmmax", "123456"),
  sysctl("kernel.sem", "100 200 30 40"),
  sysctl("kernel.shm_rmid_forced", "1"),
  sysctl("fs.mqueue.msg_max", "20"),
  sysctl("kernel.domainname", "inner.example"),
  inside("a setting may be written with slashes", "cat /proc/sys/net/ipv4/ip_forward", "1", {
    change: (spec) => spec.linux.sysctl = { "net/ipv4/ip_forward": "1" },
  }),
  refused(
    "a setting of the whole machine is refused",
    (spec) => spec.linux.sysctl = { "vm.swappiness": "1" },
    /vm\.swappiness/,
  ),
  refused(
    "a setting of kernel.hostname is refused",
    (spec) => spec.linux.sysctl = { "kernel.hostname": "x" },
    /kernel\.hostname/,
  ),
  refused("a setting of a namespace that is shared is refused", (spec) => {
    spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "network");
    spec.linux.sysctl = { "net.ipv4.ip_forward": "1" };
  }, /net\.ipv4\.ip_forward|network/),
  refused("a setting of a shared ipc namespace is refused", (spec) => {
    spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "ipc");
    spec.linux.sysctl = { "kernel.msgmax": "1" };
  }, /kernel\.msgmax|ipc/i),
  refused("a setting that does not exist is refused", (spec) => spec.linux.sysctl = { "net.galaxy": "1" }, /galaxy/),
  refused(
    "a value that the kernel does not take is refused",
    (spec) => spec.linux.sysctl = { "net.ipv4.ip_forward": "x" },
    /invalid argument/i,
  ),
];
