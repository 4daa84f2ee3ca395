/**
 * The first step towards mounts of one's own.
 *
 * @module
 */
import type { ConstantName } from "../../../ffi/constants.ts";
import { flag, type Program } from "../../../ffi/program/program.ts";

/**
 * Sets how all mounts of a new mount namespace pass to and from the host's. What changes that is refused for a root that is no
 * mount point, as in a plain chroot, where no runtime can make a container.
 */
export function addHostPropagation(program: Program, how: ConstantName): void {
  const does = how === "MS_SHARED" ? "share mounts with the host" : "cut the mounts off from the host's";
  program.add({
    call: "mount",
    args: [0, "/", 0, flag("MS_REC", how), 0],
    does,
    errors: {
      EINVAL: `${does}: "/" is no mount point here, as in a chroot: bind the directory on itself and enter it again ` +
        `(mount --bind DIR DIR; chroot DIR)`,
    },
  });
}
