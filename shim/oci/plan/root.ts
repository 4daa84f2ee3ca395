/**
 * Steps that make the root file system and change over to it.
 *
 * @module
 */
import { joinLowers } from "../../../ffi/lower_directories.ts";
import { Failure } from "../../../api/errors.ts";
import type { ConstantName } from "../../../ffi/constants.ts";
import { flag, Label, type Program, type Slot } from "../../../ffi/program/program.ts";
import type { HostMounts, RootSource } from "./facts.ts";
import { components } from "./paths.ts";
import { addHostPropagation } from "./propagation.ts";

/** Propagation of `/` in the container's mount namespace before anything is mounted (`linux.rootfsPropagation`). */
const propagations: Readonly<Record<string, ConstantName>> = {
  slave: "MS_SLAVE",
  private: "MS_PRIVATE",
  shared: "MS_SHARED",
  unbindable: "MS_UNBINDABLE",
};

/** The flag of a propagation with or without its leading `r`. Throws `InvalidArgument` in runc's words. */
function propagationFlag(propagation: string): ConstantName {
  const name = propagations[propagation.replace(/^r/, "")];
  if (name !== undefined) return name;
  throw new Failure("InvalidArgument", `rootfsPropagation=${propagation} is not supported`);
}

/** Whether mounts of the container are to be seen by the host, as far as their own propagation lets them. */
function staysShared(propagation: string): boolean {
  return propagationFlag(propagation) === "MS_SHARED";
}

/**
 * Sets how mounts pass between this mount namespace and the host's. Unless the spec wants it otherwise nothing that
 * follows is seen outside; and in any case not the container's own root.
 */
export function addPropagation(program: Program, propagation: string, root: RootSource): void {
  // Of what cannot be bound no mount of the container could be made: that comes last.
  const wanted = propagationFlag(propagation);
  addHostPropagation(program, wanted === "MS_UNBINDABLE" ? "MS_SLAVE" : wanted);
  if (!staysShared(propagation)) return;
  // The mount that holds the root's directory: the nearest one above it.
  const parts = components(root.kind === "directory" ? root.path : root.mountpoint);
  const done = new Label("parent_private");
  for (let length = parts.length; length >= 0; length--) {
    program.add({
      call: "mount",
      args: [0, `/${parts.slice(0, length).join("/")}`, 0, flag("MS_PRIVATE"), 0],
      does: "keep the root file system from the host",
      ...(length > 0 ? { allow: ["EINVAL"] as const, then: done } : {}),
    });
  }
  program.bind(done);
}

/** Sets the propagation of the new root, after the old one is gone. */
export function addRootPropagation(program: Program, propagation: string): void {
  if (!["MS_SHARED", "MS_UNBINDABLE"].includes(propagationFlag(propagation))) return;
  const recursive: ConstantName[] = propagation.startsWith("r") ? ["MS_REC"] : [];
  program.add({
    call: "mount",
    args: [0, "/", 0, flag(propagationFlag(propagation), ...recursive), 0],
    does: `make the root file system ${propagation}`,
  });
}

/**
 * Mounts the root file system inside this mount namespace and gives a descriptor of its mount. `given` is a detached
 * mount of it, where that was made before. `change` adds steps for the mount of a directory before that is attached.
 */
export function addRoot(
  program: Program,
  source: RootSource,
  given?: number,
  change: (mount: Slot) => void = () => {},
): Slot {
  if (given !== undefined) return attachGiven(program, source, given);
  if (source.kind === "directory") {
    const does = `mount the root file system "${source.path}"`;
    const root = cloneTree(program, "root", source.path, does);
    change(root);
    program.add({
      call: "move_mount",
      args: [root, "", flag("AT_FDCWD"), source.path, flag("MOVE_MOUNT_F_EMPTY_PATH")],
      does,
      errors: { ENOTDIR: `${does}: it is not a directory` },
    });
    return root;
  }
  return addOverlay(program, source);
}

/** A detached mount of a directory, with what is mounted below it; `does` tells what for. */
export function cloneTree(program: Program, name: string, path: string, does: string): Slot {
  return program.result(name, {
    call: "open_tree",
    args: [flag("AT_FDCWD"), path, flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_RECURSIVE")],
    does,
    errors: { ENOTDIR: `${does}: it is not a directory` },
  });
}

function attachGiven(program: Program, source: RootSource, given: number): Slot {
  const place = source.kind === "directory" ? source.path : source.mountpoint;
  const does = `mount the root file system on "${place}"`;
  program.add({
    call: "move_mount",
    args: [given, "", flag("AT_FDCWD"), place, flag("MOVE_MOUNT_F_EMPTY_PATH")],
    does,
  });
  return program.result("root", { call: "fcntl", args: [given, flag("F_DUPFD_CLOEXEC"), 0], does });
}

/** Mounts the overlay at its mount point, and gives a descriptor of it. */
export function addOverlay(program: Program, source: Extract<RootSource, { kind: "overlay" }>): Slot {
  const does = `mount the overlay of ${source.lower.length} layers in "${source.base}"`;
  program.add({ call: "chdir", args: [source.base], does });
  const options = [
    ...(source.upper === undefined ? [] : [`upperdir=${source.upper}`, `workdir=${source.work}`]),
    `lowerdir=${joinLowers(source.lower)}`,
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
export function addPivot(program: Program, root: Slot, propagation: string): void {
  const does = "change over to the root file system";
  const old = staysShared(propagation)
    ? program.result("old_root", {
      call: "openat",
      args: [flag("AT_FDCWD"), "/", flag("O_RDONLY", "O_DIRECTORY", "O_CLOEXEC"), 0],
      does,
    })
    : undefined;
  program.add({ call: "fchdir", args: [root], does });
  program.add({ call: "pivot_root", args: [".", "."], does });
  if (old !== undefined) {
    // The host's mounts must not go with ours. The old root is on top of the new one, and "." is below it.
    program.add({ call: "fchdir", args: [old], does });
    program.add({ call: "mount", args: [0, ".", 0, flag("MS_REC", "MS_SLAVE"), 0], does });
  }
  program.add({ call: "umount2", args: [".", flag("MNT_DETACH")], does });
  program.add({ call: "chdir", args: ["/"], does });
}

/**
 * The same without pivot_root(2), which a root on a ramfs cannot do: the new root is moved over the old one, which stays
 * there (runc `--no-pivot`). All that is mounted on it goes: a proc or sysfs that is left anywhere, be it covered, would let
 * whoever makes a user namespace in the container mount a whole new one.
 */
export function addMoveRoot(program: Program, root: Slot, { onRoot, kernels }: HostMounts): void {
  const does = "move the root file system over the host's";
  const old = program.result("old_root", {
    call: "openat",
    args: [flag("AT_FDCWD"), "/", flag("O_PATH", "O_DIRECTORY", "O_CLOEXEC"), 0],
    does,
  });
  program.add({ call: "fchdir", args: [root], does });
  program.add({ call: "mount", args: [".", "/", 0, flag("MS_MOVE"), 0], does });
  program.add({ call: "fchdir", args: [old], does });
  // The last one on the same place covers the others.
  onRoot.toReversed().forEach((path, index) => detach(program, path, kernels, index));
  program.add({ call: "fchdir", args: [root], does });
  program.add({ call: "chroot", args: ["."], does });
  program.add({ call: "chdir", args: ["/"], does });
}

/** Detaches a mount below the working directory, or covers what is the kernel's in it where that is not allowed. */
function detach(program: Program, path: string, kernels: readonly string[], index: number): void {
  const does = `detach the host's "${path}"`;
  const [locked, done] = [new Label(`locked${index}`), new Label(`detached${index}`)];
  const below = (target: string) => target.slice(1);
  // It may have gone since it was looked at.
  const gone = { allow: ["EINVAL", "ENOENT", "ENOTDIR"], otherwise: done } as const;
  program.add({ call: "mount", args: [0, below(path), 0, flag("MS_REC", "MS_SLAVE"), 0], does, ...gone });
  program.add({
    call: "umount2",
    args: [below(path), flag("MNT_DETACH", "UMOUNT_NOFOLLOW")],
    does,
    // In a user namespace what its maker has mounted stays.
    allow: ["EINVAL", "EPERM"],
    then: done,
    otherwise: locked,
  });
  program.bind(locked);
  for (const target of kernels.filter((target) => target === path || target.startsWith(`${path}/`))) {
    program.add({
      call: "mount",
      args: ["tmpfs", below(target), "tmpfs", flag("MS_RDONLY"), "nr_blocks=1,nr_inodes=2"],
      does: `cover the host's "${target}"`,
      allow: ["ENOENT", "ENOTDIR"],
    });
  }
  program.bind(done);
}

/** The most bytes of options that mount(2) takes: one page, with a NUL. */
export const mountOptionsLimit = 4095;

/** Total length of the options of an overlay; the caller refuses what exceeds {@link mountOptionsLimit}. */
export function overlayOptionsLength(source: Extract<RootSource, { kind: "overlay" }>): number {
  const names = [source.upper ?? "", source.work ?? "", ...source.lower, ...source.options];
  return names.reduce((sum, name) => sum + name.length + 1, 40);
}
