/**
 * Steps that fill `/dev`: the default and the configured nodes, and the usual links.
 *
 * @module
 */
import type { Device } from "../../../api/oci/runtime_spec.ts";
import { constant, type ConstantName } from "../../../ffi/constants.ts";
import { flag, Label, type Slot } from "../../../ffi/program/program.ts";
import { cleanPath, components, openHow, openHowSize, type Paths } from "./paths.ts";

/** What the runtime specification puts into every container (config-linux.md "Default Devices"). */
export const defaultDevices: readonly Device[] = [
  { type: "c", path: "/dev/null", major: 1, minor: 3 },
  { type: "c", path: "/dev/zero", major: 1, minor: 5 },
  { type: "c", path: "/dev/full", major: 1, minor: 7 },
  { type: "c", path: "/dev/random", major: 1, minor: 8 },
  { type: "c", path: "/dev/urandom", major: 1, minor: 9 },
  { type: "c", path: "/dev/tty", major: 5, minor: 0 },
];

const links: readonly [path: string, target: string][] = [
  ["/dev/ptmx", "pts/ptmx"],
  ["/dev/fd", "/proc/self/fd"],
  ["/dev/stdin", "/proc/self/fd/0"],
  ["/dev/stdout", "/proc/self/fd/1"],
  ["/dev/stderr", "/proc/self/fd/2"],
];

const types: Readonly<Record<Device["type"], ConstantName>> = {
  c: "S_IFCHR",
  u: "S_IFCHR",
  b: "S_IFBLK",
  p: "S_IFIFO",
};

/** A device number as the kernel's user interface encodes it (new_encode_dev). */
export function encodeDevice(major: number, minor: number): number {
  return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
}

/** Makes nodes and links. Runs with an umask of 0. */
export function addDevices(paths: Paths, devices: readonly Device[], canMakeNodes: boolean): void {
  const configured = new Set(devices.map((device) => cleanPath(device.path)));
  const defaults = defaultDevices.filter((device) => !configured.has(device.path));
  const parents = new Map<string, Slot>();
  for (const device of [...defaults, ...devices]) {
    const parts = components(device.path);
    const name = parts.pop();
    if (name === undefined) throw new TypeError("a device at the root itself");
    const directory = `/${parts.join("/")}`;
    const does = `make the device "${directory === "/" ? "" : directory}/${name}"`;
    // Nodes of one directory share its descriptor.
    const parent = parents.get(directory) ?? paths.ensure(directory, "directory", does);
    parents.set(directory, parent);
    if (canMakeNodes) makeNode(paths, device, parent, name, does);
    else bindNode(paths, device, parent, name, does);
  }
  const does = "make the links of /dev";
  const dev = parents.get("/dev") ?? paths.ensure("/dev", "directory", does);
  for (const [path, target] of links) {
    const name = path.slice("/dev/".length);
    paths.program.add({ call: "symlinkat", args: [target, dev, name], does, allow: ["EEXIST"] });
  }
}

/**
 * Gives the container its own /dev/null as those of its streams that are the host's: by that one the file system that it
 * lies in could be reached, and no checkpoint knows a file outside. Where it cannot be opened, they stay.
 */
export function addNullStreams(paths: Paths, streams: readonly number[]): void {
  if (streams.length === 0) return;
  const { program } = paths;
  const does = "open the container's own /dev/null";
  const without = new Label("no_null");
  const how = openHow(paths.arch, ["O_RDWR", "O_CLOEXEC"], ["RESOLVE_IN_ROOT", "RESOLVE_NO_SYMLINKS"]);
  const opened = program.result("null_stream", {
    call: "openat2",
    args: [paths.root, "/dev/null", how, openHowSize],
    does,
    allow: "any",
    otherwise: without,
  });
  for (const number of streams) program.add({ call: "dup3", args: [opened, number, 0], does });
  program.bind(without);
}

/** A node that the image's own /dev has stays as it is. */
function makeNode({ program }: Paths, device: Device, parent: Slot, name: string, does: string): void {
  const mode = constant(types[device.type]) | (device.fileMode ?? 0o666);
  const number = device.type === "p" ? 0 : encodeDevice(device.major ?? 0, device.minor ?? 0);
  const { uid = 0, gid = 0 } = device;
  const owned = uid === 0 && gid === 0;
  const done = new Label(`node_${name}`);
  program.add({
    call: "mknodat",
    args: [parent, name, mode, number],
    does,
    allow: ["EEXIST"],
    ...(owned ? {} : { otherwise: done }),
    errors: { EPERM: `${does}: operation not permitted; barge needs CAP_MKNOD, and no device filter around it` },
  });
  if (owned) return;
  program.add({ call: "fchownat", args: [parent, name, uid, gid, flag("AT_SYMLINK_NOFOLLOW")], does });
  program.bind(done);
}

/** The host's node, where there is no right to make one. */
function bindNode(paths: Paths, device: Device, parent: Slot, name: string, does: string): void {
  const { program } = paths;
  const host = program.result(paths.name("host"), {
    call: "open_tree",
    args: [flag("AT_FDCWD"), cleanPath(device.path), flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC")],
    does,
  });
  program.add({ call: "mknodat", args: [parent, name, constant("S_IFREG") | 0o644, 0], does, allow: ["EEXIST"] });
  const target = program.result(paths.name("path"), {
    call: "openat",
    args: [parent, name, flag("O_PATH", "O_NOFOLLOW", "O_CLOEXEC"), 0],
    does,
  });
  paths.keepKernelFiles(target, cleanPath(device.path), does);
  paths.attach(host, target, does);
}
