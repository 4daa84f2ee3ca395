/**
 * One cgroup directory of a container: making it ready for processes, and removing it.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { isErrno, SyscallError } from "../../../ffi/errno.ts";
import { makeDirectory, readControl, readControlIfThere, removeDirectory, writeControl } from "./control_file.ts";

/** A container's directory in one hierarchy; plain data, it goes into the container's state on disk. */
export interface CgroupDirectory {
  version: 1 | 2;
  /** Directory name below `/sys/fs/cgroup`: `cpu,cpuacct`, `systemd`, `unified`; empty for pure version 2. */
  name: string;
  /** Of version 1, see `Hierarchy`. */
  controllers: string[];
  mountpoint: string;
  /** Absolute. */
  path: string;
  /** Whether the container made it. A directory that somebody else had made before stays when the container goes. */
  made: boolean;
}

/** How often a parent that another container's end has just removed is made again. */
const attemptsMax = 5;

/**
 * Makes the directory and its parents; false where it was there. What is made is added to `made`, parents first.
 * Throws `PermissionDenied` or `FailedPrecondition` with the kernel's reason.
 */
export function makeWithParents(path: string, mountpoint: string, made: string[]): boolean {
  for (let attempt = 1;; attempt++) {
    try {
      if (!makeDirectory(path)) return false;
      made.push(path);
      return true;
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      if (error.code !== "ENOENT" || path === mountpoint || attempt === attemptsMax) throw cannotMake(path, error);
      makeWithParents(parentOf(path), mountpoint, made);
    }
  }
}

function cannotMake(path: string, error: SyscallError): Failure {
  const denied = ["EACCES", "EPERM", "EROFS"].includes(error.code);
  return new Failure(
    denied ? "PermissionDenied" : "FailedPrecondition",
    `cannot make the cgroup "${path}": ${error.message}${denied ? "; want root and a writable cgroup mount" : ""}`,
    { cause: error },
  );
}

/**
 * Gives a cpuset of version 1 its parent's processors and memory nodes where it has none: a new one is empty, and the
 * kernel lets no process into it. Parents are filled first.
 */
export function inheritCpuset(path: string, mountpoint: string): void {
  if (path === mountpoint) return;
  for (const name of ["cpuset.cpus", "cpuset.mems"]) inheritFile(path, mountpoint, name);
}

function inheritFile(path: string, mountpoint: string, name: string): string {
  const file = `${path}/${name}`;
  // A mount with the option "noprefix" has other names, and nobody uses it any more outside Android.
  const own = readControl(file).trim();
  if (own !== "" || path === mountpoint) return own;
  const inherited = inheritFile(parentOf(path), mountpoint, name);
  writeControl(file, inherited);
  return inherited;
}

/**
 * Hands all controllers of a version 2 mount down to a directory. What cannot be handed down (a parent with processes in
 * it, say) is left: a limit that needs it is refused later, by name.
 */
export function delegateControllers(path: string, mountpoint: string): void {
  const wanted = words(readControlIfThere(`${mountpoint}/cgroup.controllers`));
  const present = new Set(words(readControlIfThere(`${path}/cgroup.controllers`)));
  if (wanted.every((name) => present.has(name))) return;
  const parents: string[] = [];
  for (let parent = parentOf(path); parent.length >= mountpoint.length; parent = parentOf(parent)) parents.push(parent);
  for (const parent of parents.toReversed()) {
    const file = `${parent}/cgroup.subtree_control`;
    if (tryWrite(file, wanted.map((name) => `+${name}`).join(" "))) continue;
    for (const name of wanted) tryWrite(file, `+${name}`);
  }
}

function tryWrite(path: string, text: string): boolean {
  try {
    writeControl(path, text);
    return true;
  } catch (error) {
    if (error instanceof SyscallError) return false;
    throw error;
  }
}

/** The words of a control file's text. */
export function words(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(/\s+/).filter((word) => word !== "");
}

/**
 * Makes sure that processes can join a directory of version 2. One below a threaded cgroup is "domain invalid" and admits
 * none until it is threaded too, which bars it from controllers that count per process (`needsDomain`).
 *
 * Throws `FailedPrecondition`.
 */
export function makeJoinable(path: string, needsDomain: boolean): void {
  const type = readControlIfThere(`${path}/cgroup.type`);
  if (type === undefined || type === "domain") return;
  if (needsDomain) {
    throw new Failure(
      "FailedPrecondition",
      `cannot limit memory, io or huge pages of the cgroup "${path}": its type is "${type}"; want a parent that is no ` +
        "threaded cgroup and has no processes in it",
    );
  }
  if (type === "domain invalid") makeThreaded(path);
}

/** Parents first: a threaded cgroup's parent must be valid. */
function makeThreaded(path: string): void {
  if (readControlIfThere(`${path}/cgroup.type`) !== "domain invalid") return;
  makeThreaded(parentOf(path));
  writeControl(`${path}/cgroup.type`, "threaded");
}

/** Removes the directory; false where something is in it. True where it was gone. Throws {@link SyscallError}. */
export function removeEmpty(path: string): boolean {
  try {
    removeDirectory(path);
    return true;
  } catch (error) {
    if (isErrno(error, "EBUSY", "ENOTEMPTY")) return false;
    throw error;
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
