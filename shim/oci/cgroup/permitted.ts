/**
 * Which of a container's cgroups an ordinary user may make.
 *
 * @module
 */
import { flags } from "../../../ffi/constants.ts";
import { isErrno } from "../../../ffi/errno.ts";
import { call } from "../../../ffi/syscall.ts";
import type { CgroupDirectory } from "./directory.ts";

/** unistd.h W_OK. */
const mayWrite = 2;

/** Those whose nearest directory that exists may be written to. Where there is none the container stays where its runtime is. */
export function permittedPlaces(places: readonly CgroupDirectory[]): CgroupDirectory[] {
  return places.filter(({ path, mountpoint }) => isPermitted(path, mountpoint));
}

function isPermitted(path: string, mountpoint: string): boolean {
  for (let at = path; at.startsWith(mountpoint); at = at.slice(0, at.lastIndexOf("/"))) {
    try {
      call("faccessat", flags("AT_FDCWD"), at, mayWrite);
      return true;
    } catch (error) {
      if (!isErrno(error, "ENOENT")) return false;
    }
  }
  return false;
}
