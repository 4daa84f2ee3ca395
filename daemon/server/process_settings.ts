/**
 * What the daemon changes of its own process when it starts.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { call } from "../../ffi/syscall.ts";
import { inheritCpuset, makeWithParents } from "../../shim/oci/cgroup/directory.ts";
import { type Hierarchy, readHierarchies } from "../../shim/oci/cgroup/hierarchies.ts";
import { readLaunch, setVariable } from "../../ffi/launch.ts";

/**
 * Sets how gladly the kernel kills this process when memory is short (-1000 to 1000); 0 leaves it. Gives the reason
 * where it was refused: that is no reason not to start.
 */
export function setOomScore(score: number): string | undefined {
  if (score === 0) return undefined;
  try {
    Deno.writeTextFileSync("/proc/self/oom_score_adj", String(score));
    return undefined;
  } catch (error) {
    return `failed to change OOM score to ${score}: ${messageOf(error)}`;
  }
}

/**
 * Joins a cgroup, named as below the hierarchies' mount points: one of version 2 must be there; those of version 1 are
 * made where they are missing. An empty path does nothing. Throws `FailedPrecondition` where it cannot.
 */
export function joinCgroup(path: string, hierarchies: readonly Hierarchy[] = readHierarchies()): void {
  if (path === "") return;
  if (path.split("/").includes("..")) {
    throw new Failure("InvalidArgument", `join cgroup "${path}": ".." is not allowed`);
  }
  const old = hierarchies.filter(({ version }) => version === 1);
  for (const { mountpoint, version, controllers } of old.length > 0 ? old : hierarchies) {
    const directory = `${mountpoint}/${path}`.replace(/\/+/g, "/").replace(/\/$/, "");
    try {
      if (version === 1) makeWithParents(directory, mountpoint, []);
      if (controllers.includes("cpuset")) inheritCpuset(directory, mountpoint);
      Deno.writeTextFileSync(`${directory}/cgroup.procs`, String(Deno.pid), { create: false });
    } catch (error) {
      throw new Failure("FailedPrecondition", `join cgroup "${path}" in ${mountpoint}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

/**
 * Raises the limit of open files to what the process may have, and gives it; each connection is one. Deno does so
 * itself today: this holds where it stops to.
 */
export function raiseOpenFiles(): number {
  const limits = new BigUint64Array(2);
  call("prlimit64", 0, flags("RLIMIT_NOFILE"), 0, limits);
  const [soft, hard] = limits;
  if (soft! < hard!) call("prlimit64", 0, flags("RLIMIT_NOFILE"), new BigUint64Array([hard!, hard!]), 0);
  return Number(hard);
}

/**
 * Puts the programs and libraries of a directory such as `/opt/containerd` before all others, for what the daemon
 * starts. Throws what the disk says where `bin` and `lib` cannot be made.
 */
export function prependPrograms(directory: string): void {
  for (const [part, variable] of [["bin", "PATH"], ["lib", "LD_LIBRARY_PATH"]] as const) {
    const path = `${directory}/${part}`;
    Deno.mkdirSync(path, { recursive: true, mode: 0o711 });
    const former = readLaunch().environment.get(variable) ?? "";
    if (former.split(":")[0] === path) continue;
    const now = former === "" ? path : `${path}:${former}`;
    setVariable(variable, now);
    // Deno looks programs up, too.
    if (variable === "PATH") Deno.env.set(variable, now);
  }
}
