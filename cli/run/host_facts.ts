/**
 * What `barge run` must know of the machine.
 *
 * @module
 */
import { hostArch } from "../../ffi/arch.ts";
import { capabilitiesOfMask } from "./capabilities.ts";
import type { RunCommand } from "./flags.ts";
import { hostDevices } from "./host_devices.ts";
import type { HostFacts } from "./spec.ts";

/** Reads the facts that this command line needs, and no others. */
export function readHostFacts(command: RunCommand): HostFacts {
  const { flags } = command;
  const shared = flags.network === "host";
  const pure = exists("/sys/fs/cgroup/cgroup.controllers");
  return {
    arch: hostArch,
    kernel: Deno.osRelease(),
    hostname: Deno.hostname(),
    capabilities: boundingSet(),
    cgroupVersion: pure ? 2 : 1,
    swapLimit: flags.memory !== undefined && swapCanBeLimited(pure),
    devices: flags.privileged ? hostDevices() : [],
    hosts: shared ? readText("/etc/hosts") : "",
    selinux: command.mounts.some((mount) => mount.type === "bind" && mount.relabel) &&
      exists("/sys/fs/selinux/enforce"),
    resolvConf: shared ? readText("/etc/resolv.conf") : "",
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** An unreadable or missing file is as good as an empty one. */
function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function boundingSet(): string[] {
  const hex = /^CapBnd:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
  return capabilitiesOfMask(hex ?? "0");
}

/** Swap accounting may be off (`swapaccount=0`), and a kernel may have no swap at all. */
function swapCanBeLimited(pure: boolean): boolean {
  if (!pure) return exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes");
  // The root cgroup has no limits; any child with the controller shows whether the file is there.
  return [...Deno.readDirSync("/sys/fs/cgroup")]
    .some(({ name, isDirectory }) => isDirectory && exists(`/sys/fs/cgroup/${name}/memory.swap.max`));
}
