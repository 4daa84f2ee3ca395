/**
 * A cgroup with all that are in it. A container that may make cgroups of its own can make them as deep as it likes: they are
 * reached by descriptors, one level at a time, as no path is long enough for them and no stack deep enough.
 *
 * @module
 */
import { flags } from "../../../ffi/constants.ts";
import { DirectoryChain } from "../../../ffi/directory_chain.ts";
import { DirectoryReader } from "../../../ffi/directory_entries.ts";
import { errnoNumber, isErrno, SyscallError } from "../../../ffi/errno.ts";
import { attempt } from "../../../ffi/syscall.ts";
import { readControlIfThere } from "./control_file.ts";
import { removeEmpty, words } from "./directory.ts";

/** Undefined where the cgroup is gone. Throws {@link SyscallError}. */
function open(path: string): DirectoryChain | undefined {
  const fd = attempt("openat", flags("AT_FDCWD"), path, flags("O_RDONLY", "O_DIRECTORY", "O_CLOEXEC"));
  if (fd >= 0) return new DirectoryChain(fd);
  if (fd === -errnoNumber("ENOENT")) return undefined;
  throw new SyscallError("openat", -fd, path);
}

/** Names of the cgroups directly in the open one. */
function childrenIn(fd: number): string[] {
  const reader = new DirectoryReader(fd);
  const names: string[] = [];
  for (let entry; (entry = reader.next()) !== undefined;) if (entry.type === "directory") names.push(entry.name);
  return names;
}

/** Goes into one; false where it is gone by now. */
function enter(chain: DirectoryChain, name: string): boolean {
  try {
    chain.enter(name);
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return false;
    throw error;
  }
}

/** Ids of the processes in the directory and in those below it. In a threaded cgroup they are ids of threads. */
export function processesIn(path: string): number[] {
  using chain = open(path);
  if (chain === undefined) return [];
  const found = processesOf(chain.fd);
  const pending = [childrenIn(chain.fd)];
  for (let names; (names = pending.at(-1)) !== undefined;) {
    const name = names.pop();
    if (name === undefined) {
      pending.pop();
      if (pending.length > 0) chain.leave();
    } else if (enter(chain, name)) {
      for (const pid of processesOf(chain.fd)) found.push(pid);
      pending.push(childrenIn(chain.fd));
    }
  }
  return found;
}

function processesOf(fd: number): number[] {
  let text: string | undefined;
  try {
    text = readControlIfThere(`/proc/self/fd/${fd}/cgroup.procs`);
  } catch (error) {
    if (!isErrno(error, "EOPNOTSUPP")) throw error;
    text = readControlIfThere(`/proc/self/fd/${fd}/cgroup.threads`);
  }
  // 0 stands for a process that this process's pid namespace does not show.
  return words(text).map(Number).filter((pid) => pid > 0);
}

/** So long others may wait; the kernel takes up to some milliseconds for one cgroup. */
const turnMs = 10;

/**
 * Removes the directory and those below it; false where something in it is still busy. Others have their turn where that
 * takes long. Throws {@link SyscallError}.
 */
export async function removeSubtree(path: string): Promise<boolean> {
  if (removeEmpty(path)) return true;
  using chain = open(path);
  if (chain === undefined) return true;
  const pending = [{ name: "", children: childrenIn(chain.fd) }];
  let turn = performance.now();
  for (let level; (level = pending.at(-1)) !== undefined;) {
    if (performance.now() - turn > turnMs) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      turn = performance.now();
    }
    const child = level.children.pop();
    if (child !== undefined) {
      if (enter(chain, child)) pending.push({ name: child, children: childrenIn(chain.fd) });
      continue;
    }
    pending.pop();
    if (pending.length === 0) break;
    chain.leave();
    const result = attempt("unlinkat", chain.fd, level.name, flags("AT_REMOVEDIR"));
    if (result === -errnoNumber("EBUSY") || result === -errnoNumber("ENOTEMPTY")) return false;
    if (result < 0 && result !== -errnoNumber("ENOENT")) throw new SyscallError("unlinkat", -result, path);
  }
  return removeEmpty(path);
}
