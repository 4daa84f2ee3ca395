/**
 * What `barge oci spec` writes: a spec to begin with, the same as runc's.
 *
 * @module
 */
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { specVersion } from "./version.ts";

const capabilities: readonly string[] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/**
 * A shell on a terminal, in a read-only `rootfs` beside the file, with few rights. Where cgroups are version 2 (the
 * host's, unless it is given) the container has a cgroup namespace.
 */
export function defaultSpec(cgroupVersion: 1 | 2 = hostCgroupVersion()): Spec {
  const plain = ["nosuid", "noexec", "nodev"];
  return {
    ociVersion: specVersion,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      // No ambient ones, which older versions of runc wrote: they would outlive a change of user.
      capabilities: { bounding: [...capabilities], effective: [...capabilities], permitted: [...capabilities] },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "runc",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
      },
      { destination: "/dev/shm", type: "tmpfs", source: "shm", options: [...plain, "mode=1777", "size=65536k"] },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: plain },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: [...plain, "ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...plain, "relatime", "ro"] },
    ],
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: [
        { type: "pid" },
        { type: "network" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
        ...(cgroupVersion === 2 ? [{ type: "cgroup" } as const] : []),
      ],
      maskedPaths: [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/sys/firmware",
        "/proc/scsi",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/**
 * The same for a container of an unprivileged user: a user namespace that has the caller as its root, the host's
 * network, and nothing that needs rights outside.
 */
export function rootlessSpec(
  caller: { uid: number; gid: number },
  cgroupVersion: 1 | 2 = hostCgroupVersion(),
): Spec {
  const spec = defaultSpec(cgroupVersion);
  const { resources: _, ...linux } = spec.linux ?? {};
  const mounts = (spec.mounts ?? []).map((mount) => {
    if (mount.destination === "/sys") {
      return {
        destination: "/sys",
        type: "none",
        source: "/sys",
        options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
      };
    }
    const options = mount.options?.filter((option) => !/^[gu]id=/.test(option));
    return { ...mount, ...(options === undefined ? {} : { options }) };
  });
  return {
    ...spec,
    mounts,
    linux: {
      ...linux,
      uidMappings: [{ containerID: 0, hostID: caller.uid, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: caller.gid, size: 1 }],
      namespaces: [
        ...(linux.namespaces ?? []).filter(({ type }) => type !== "network" && type !== "user"),
        { type: "user" },
      ],
    },
  };
}

function hostCgroupVersion(): 1 | 2 {
  try {
    Deno.statSync("/sys/fs/cgroup/cgroup.controllers");
    return 2;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 1;
    throw error;
  }
}
