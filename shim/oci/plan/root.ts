/**
 * Steps that make the root file system and change over to it.
 *
 * @module
 */
import type { ConstantName } from "../../../ffi/constants.ts";
import { flag, type Program, type Slot } from "../../../ffi/program/program.ts";
import type { RootSource } from "./facts.ts";

/** Propagation of `/` in the container's mount namespace before anything is mounted (`linux.rootfsPropagation`). */
const propagations: Readonly<Record<string, ConstantName>> = {
  slave: "MS_SLAVE",
  private: "MS_PRIVATE",
};

/** Cuts the mount namespace off from the host's, so that nothing that follows is seen outside. */
export function addPropagation(program: Program, propagation: string): void {
  const name = propagations[propagation.replace(/^r/, "")] ?? "MS_SLAVE";
  program.add({
    call: "mount",
    args: [0, "/", 0, flag("MS_REC", name), 0],
    does: "cut the mounts off from the host's",
  });
}

/** Mounts the root file system inside this mount namespace and gives a descriptor of its mount. */
export function addRoot(program: Program, source: RootSource): Slot {
  if (source.kind === "directory") {
    const does = `mount the root file system "${source.path}"`;
    const root = program.result("root", {
      call: "open_tree",
      args: [flag("AT_FDCWD"), source.path, flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_RECURSIVE")],
      does,
      errors: { ENOTDIR: `${does}: it is not a directory` },
    });
    program.add({
      call: "move_mount",
      args: [root, "", flag("AT_FDCWD"), source.path, flag("MOVE_MOUNT_F_EMPTY_PATH")],
      does,
      errors: { ENOTDIR: `${does}: it is not a directory` },
    });
    return root;
  }
  const does = `mount the overlay of ${source.lower.length} layers in "${source.base}"`;
  program.add({ call: "chdir", args: [source.base], does });
  const options = [
    ...(source.upper === undefined ? [] : [`upperdir=${source.upper}`, `workdir=${source.work}`]),
    `lowerdir=${source.lower.join(":")}`,
    ...source.options,
  ].join(",");
  program.add({
    call: "mount",
    args: ["overlay", source.mountpoint, "overlay", source.upper === undefined ? flag("MS_RDONLY") : 0, options],
    does,
    errors: { ESTALE: `${does}: a layer was replaced under the running system; pull the image again` },
  });
  return program.result("root", {
    call: "openat",
    args: [flag("AT_FDCWD"), source.mountpoint, flag("O_PATH", "O_DIRECTORY", "O_CLOEXEC"), 0],
    does,
  });
}

/**
 * Makes the mount of `root` the root of this namespace, and detaches the host's (pivot_root(2), "pivot_root(".",
 * ".")").
 */
export function addPivot(program: Program, root: Slot): void {
  const does = "change over to the root file system";
  program.add({ call: "fchdir", args: [root], does });
  program.add({ call: "pivot_root", args: [".", "."], does });
  program.add({ call: "umount2", args: [".", flag("MNT_DETACH")], does });
  program.add({ call: "chdir", args: ["/"], does });
}

/** The most bytes of options that mount(2) takes: one page, with a NUL. */
export const mountOptionsLimit = 4095;

/** Total length of the options of an overlay; the caller refuses what exceeds {@link mountOptionsLimit}. */
export function overlayOptionsLength(source: Extract<RootSource, { kind: "overlay" }>): number {
  const names = [source.upper ?? "", source.work ?? "", ...source.lower, ...source.options];
  return names.reduce((sum, name) => sum + name.length + 1, 40);
}
