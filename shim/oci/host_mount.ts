/**
 * The root file system of a container without a mount namespace: it stays on the host until somebody unmounts it.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { errnoName, SyscallError } from "../../ffi/errno.ts";
import { attempt } from "../../ffi/syscall.ts";
import type { RootSource } from "./plan/facts.ts";
import { isHostRoot } from "./plan/mount_namespace.ts";

/** Where it is mounted, and the id of the mount that is seen there without it. */
export interface HostMount {
  path: string;
  below: number;
}

/** What is to be known before it is mounted; undefined for a root that is not mounted anywhere. */
export function expectHostMount(root: RootSource): HostMount | undefined {
  if (isHostRoot(root)) return undefined;
  const path = root.kind === "directory" ? root.path : root.mountpoint;
  const below = mountIdAt(path);
  return below === undefined ? undefined : { path, below };
}

/** Unmounts it with all that is mounted in it; nothing where it is not there. */
export function removeHostMount({ path, below }: HostMount): void {
  const seen = mountIdAt(path);
  if (seen === undefined || seen === below) return;
  const result = attempt("umount2", path, flags("UMOUNT_NOFOLLOW", "MNT_DETACH"));
  // Somebody has unmounted all of it, what lay below included.
  if (result < 0 && errnoName(-result) !== "EINVAL") throw new SyscallError("umount2", -result, path);
}

/** The id of the mount that a directory is on (proc_pid_fdinfo(5)); undefined where there is no such directory. */
function mountIdAt(path: string): number | undefined {
  try {
    using directory = openFile(path, flags("O_PATH", "O_DIRECTORY", "O_NOFOLLOW"));
    const text = Deno.readTextFileSync(`/proc/self/fdinfo/${directory.number}`);
    return Number(/^mnt_id:\s*(\d+)$/m.exec(text)?.[1]);
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}
