/**
 * Steps for small things that a new container's kernel side needs: loopback, host name, sysctls, keyring, OOM score.
 *
 * @module
 */
import type { Linux } from "../../../api/oci/runtime_spec.ts";
import { flag, type Program, room, type Slot, text } from "../../../ffi/program/program.ts";
import { newFileSystem } from "./new_mounts.ts";

/** Brings `lo` up in a network namespace of its own (netdevice(7) SIOCSIFFLAGS; struct ifreq is 40 bytes). */
export function addLoopback(program: Program): void {
  const does = "bring the loopback interface up";
  const socket = program.result("socket", {
    call: "socket",
    args: [flag("AF_INET"), flag("SOCK_DGRAM", "SOCK_CLOEXEC"), 0],
    does,
  });
  const request = room(40, '{"lo", IFF_UP}');
  request.bytes.set(new TextEncoder().encode("lo"));
  new DataView(request.bytes.buffer).setUint16(16, 1, true);
  program.add({ call: "ioctl", args: [socket, flag("SIOCSIFFLAGS"), request], does });
}

/** sethostname(2) and setdomainname(2). */
export function addNames(program: Program, hostname: string | undefined, domainname: string | undefined): void {
  const length = (name: string): number => new TextEncoder().encode(name).length;
  if (hostname) {
    program.add({ call: "sethostname", args: [hostname, length(hostname)], does: `set the host name "${hostname}"` });
  }
  if (domainname) {
    const does = `set the domain name "${domainname}"`;
    program.add({ call: "setdomainname", args: [domainname, length(domainname)], does });
  }
}

/** A session keyring of the container's own (keyctl(2)); kernels without keyrings go without. */
export function addKeyring(program: Program, id: string): void {
  const does = "make a session keyring";
  const ring = program.result("keyring", {
    call: "keyctl",
    args: [flag("KEYCTL_JOIN_SESSION_KEYRING"), `_ses.${id}`, 0, 0, 0],
    does,
    // EDQUOT: root has too many keys already; a container can do without its own.
    allow: ["ENOSYS", "EPERM", "EDQUOT"],
  });
  program.add({
    call: "keyctl",
    // The default permissions of a new keyring, and search for its user.
    args: [flag("KEYCTL_SETPERM"), ring, 0x3f1b0000, 0, 0],
    does,
    allow: ["ENOSYS", "EPERM", "ENOKEY", "EACCES", "EINVAL"],
  });
}

/** Writes a text to a file below a directory. */
function write(program: Program, directory: Slot | undefined, path: string, value: string, does: string): void {
  const file = program.result("file", {
    call: "openat",
    args: [directory ?? flag("AT_FDCWD"), path, flag("O_WRONLY", "O_CLOEXEC"), 0],
    does,
  });
  const data = text(value);
  program.add({ call: "write", args: [file, data, data.bytes.length - 1], does });
}

/** Sets how likely the kernel kills this process when memory is short; while it still may. */
export function addOomScore(program: Program, score: number | undefined): void {
  if (score === undefined) return;
  const does = `set the OOM score adjustment to ${score}`;
  write(program, undefined, "/proc/self/oom_score_adj", String(score), does);
}

/**
 * Makes a time namespace with clocks of its own, and enters it: `unshare` gives it to children only, but a process of one
 * thread may join it by its file (time_namespaces(7)).
 */
export function addTimeNamespace(program: Program, offsets: Linux["timeOffsets"]): void {
  const does = "make a time namespace";
  program.add({ call: "unshare", args: [flag("CLONE_NEWTIME")], does });
  for (const [clock, offset] of Object.entries(offsets ?? {})) {
    if (offset === undefined) continue;
    const { secs = 0, nanosecs = 0 } = offset;
    write(
      program,
      undefined,
      "/proc/self/timens_offsets",
      `${clock} ${secs} ${nanosecs}\n`,
      `set the clock "${clock}"`,
    );
  }
  const file = program.result("time", {
    call: "openat",
    args: [flag("AT_FDCWD"), "/proc/self/ns/time_for_children", flag("O_RDONLY", "O_CLOEXEC"), 0],
    does,
  });
  program.add({ call: "setns", args: [file, flag("CLONE_NEWTIME")], does });
}

/** Writes sysctls through a procfs that no image could have touched (CVE-2025-52881). */
export function addSysctls(program: Program, sysctl: Record<string, string> | undefined, proc: Slot | undefined): void {
  const entries = Object.entries(sysctl ?? {});
  if (entries.length === 0) return;
  const directory = proc ?? newFileSystem(program, "sysctl", "proc", "proc", {
    flags: [],
    parameters: [],
    attributes: { set: [], clear: [] },
  }, "mount a proc file system for sysctls");
  for (const [name, value] of entries) {
    write(program, directory, `sys/${sysctlPath(name)}`, value, `set the sysctl "${name}" to "${value}"`);
  }
}

/** `net.ipv4.ip_forward` → `net/ipv4/ip_forward`; the first separator decides which one it is (sysctl(8)). */
export function sysctlPath(name: string): string {
  const slash = name.indexOf("/");
  const dot = name.indexOf(".");
  if (slash >= 0 && (dot < 0 || slash < dot)) return name;
  return name.replace(/[./]/g, (separator) => separator === "." ? "/" : ".");
}
