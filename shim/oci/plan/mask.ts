/**
 * Steps that make paths read-only or hide them.
 *
 * @module
 */
import { flag, Label, type Program, type Slot } from "../../../ffi/program/program.ts";
import type { Facts } from "./facts.ts";
import type { Mounted } from "./mounts.ts";
import { newFileSystem, setAttributes } from "./new_mounts.ts";
import { cleanPath, type Paths } from "./paths.ts";

/** The container's own proc and sysfs, as far as it has them. */
export type KernelMounts = Pick<Mounted, "proc" | "sysfs">;

/**
 * Where a path is looked for. The kernel's files are found by the descriptor of their mount: whoever else may change the
 * root file system while the container starts could put something else on the way to them, and have that hidden.
 */
function placeOf(path: string, { proc, sysfs }: KernelMounts): { path: string; from?: Slot } {
  if (proc !== undefined && path.startsWith("/proc/")) return { path: path.slice("/proc".length), from: proc };
  if (sysfs !== undefined && path.startsWith("/sys/")) return { path: path.slice("/sys".length), from: sysfs };
  return { path };
}

/** Binds each path on itself, read-only with all that is mounted below; a missing one is skipped. */
export function addReadonlyPaths(
  paths: Paths,
  list: readonly string[],
  known: Facts["kernelFiles"],
  mounts: KernelMounts,
): void {
  for (const path of new Set(list.map(cleanPath))) {
    if (known.get(path) === "missing") continue;
    const does = `make "${path}" read-only`;
    const skip = new Label(paths.name("skip"));
    const place = placeOf(path, mounts);
    const target = paths.openOr(place.path, skip, does, { from: place.from });
    const mount = cloneOf(paths.program, paths.name("readonly"), target, does, true);
    setAttributes(paths.program, mount, { set: ["MOUNT_ATTR_RDONLY"], clear: [] }, does, true);
    paths.attach(mount, target, does);
    paths.program.bind(skip);
  }
}

/**
 * Hides each path: a file behind /dev/null, a directory behind an empty read-only tmpfs; a missing one is skipped.
 *
 * The null device is the host's, cloned before the root changes and read-only as a mount (so its mode cannot be
 * changed through it): the container's own may be anything that an image put there (CVE-2025-31133).
 */
export function addMaskedPaths(
  paths: Paths,
  list: readonly string[],
  known: Facts["kernelFiles"],
  nullDevice: Slot,
  mounts: KernelMounts,
): void {
  const { program } = paths;
  const wanted = [...new Set(list.map(cleanPath))].filter((path) => known.get(path) !== "missing");
  if (wanted.length === 0) return;
  const empty = newFileSystem(program, paths.name("mask"), "tmpfs", "tmpfs", {
    flags: [],
    parameters: [["nr_blocks", "1"], ["nr_inodes", "2"], ["mode", "755"]],
    attributes: { set: ["MOUNT_ATTR_RDONLY", "MOUNT_ATTR_NOSUID", "MOUNT_ATTR_NODEV", "MOUNT_ATTR_NOEXEC"], clear: [] },
  }, "make an empty directory to hide others behind");
  for (const path of wanted) {
    const does = `hide "${path}"`;
    const done = new Label(paths.name("masked"));
    const kind = known.get(path);
    const place = placeOf(path, mounts);
    if (kind !== "file") {
      const file = kind === undefined ? new Label(paths.name("file")) : done;
      const directory = paths.openOr(place.path, file, does, { kind: "directory", from: place.from });
      attachCopy(paths, empty, directory, does, done);
      if (kind === undefined) program.bind(file);
    }
    if (kind !== "directory") {
      const target = paths.openOr(place.path, done, does, { from: place.from });
      attachCopy(paths, nullDevice, target, does, done);
    }
    program.bind(done);
  }
}

/** The host's /dev/null as a detached mount that cannot be written to except as the device that it is. */
export function addNullDevice(program: Program): Slot {
  const does = "take the host's /dev/null to hide files behind";
  const mount = program.result("null", {
    call: "open_tree",
    args: [flag("AT_FDCWD"), "/dev/null", flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC")],
    does,
  });
  setAttributes(
    program,
    mount,
    { set: ["MOUNT_ATTR_RDONLY", "MOUNT_ATTR_NOSUID", "MOUNT_ATTR_NOEXEC"], clear: [] },
    does,
  );
  return mount;
}

/**
 * Puts a copy of a detached mount onto the other descriptor, and goes on at `done`. Before Linux 6.15 a detached mount
 * cannot be copied (EINVAL): there the first path gets the mount itself, and the others copies of what is attached then.
 */
function attachCopy(paths: Paths, mount: Slot, target: Slot, does: string, done: Label): void {
  const { program } = paths;
  const detached = new Label(paths.name("detached"));
  const copy = cloneOf(program, paths.name("copy"), mount, does, false, detached);
  paths.attach(copy, target, does, { then: done });
  program.bind(detached);
  paths.attach(mount, target, does, { then: done });
}

/** A further detached mount of what a descriptor shows; the program goes on at `refused` where the kernel says EINVAL. */
function cloneOf(
  program: Program,
  name: string,
  mount: Slot,
  does: string,
  recursive: boolean,
  refused?: Label,
): Slot {
  return program.result(name, {
    call: "open_tree",
    args: [
      mount,
      "",
      recursive
        ? flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_EMPTY_PATH", "AT_RECURSIVE")
        : flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_EMPTY_PATH"),
    ],
    does,
    ...(refused === undefined ? {} : { allow: ["EINVAL"], otherwise: refused }),
  });
}
