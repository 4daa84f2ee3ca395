/**
 * Steps that fill `/dev`: the default and the configured nodes, and the usual links.
 *
 * @module
 */
import type { Device } from "../../../api/oci/runtime_spec.ts";
import { constant, type ConstantName } from "../../../ffi/constants.ts";
import { flag, Label, type Slot } from "../../../ffi/program/program.ts";
import { cleanPath, components, type Paths } from "./paths.ts";

/** What the runtime specification puts into every container (config-linux.md "Default Devices"). */
const defaultDevices: readonly Device[] = [
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
export function addDevices(paths: Paths, devices: readonly Device[]): void {
  const configured = new Set(devices.map((device) => cleanPath(device.path)));
  const defaults = defaultDevices.filter((device) => !configured.has(device.path));
  const parents = new Map<string, Slot>();
  for (const device of [...defaults, ...devices]) addDevice(paths, device, parents);
  const does = "make the links of /dev";
  const dev = parents.get("/dev") ?? paths.ensure("/dev", "directory", does);
  for (const [path, target] of links) {
    const name = path.slice("/dev/".length);
    paths.program.add({ call: "symlinkat", args: [target, dev, name], does, allow: ["EEXIST"] });
  }
}

/** Nodes of one directory share its descriptor, which `parents` holds by path. */
function addDevice(paths: Paths, device: Device, parents: Map<string, Slot>): void {
  const { program } = paths;
  const path = cleanPath(device.path);
  const does = `make the device "${path}"`;
  const parts = components(path);
  const name = parts.pop();
  if (name === undefined) throw new TypeError("a device at the root itself");
  const directory = `/${parts.join("/")}`;
  const parent = parents.get(directory) ?? paths.ensure(directory, "directory", does);
  parents.set(directory, parent);
  const done = new Label(paths.name("device"));
  const mode = constant(types[device.type]) | (device.fileMode ?? 0o666);
  const number = device.type === "p" ? 0 : encodeDevice(device.major ?? 0, device.minor ?? 0);
  const refused = new Label(paths.name("refused"));
  const made = new Label(paths.name("owner"));
  program.add({
    call: "mknodat",
    args: [parent, name, mode, number],
    does,
    allow: ["EEXIST", "EPERM"],
    then: made,
    otherwise: refused,
  });
  program.bind(refused);
  // The image's own /dev has it, or there is no right to make nodes: then the host's node is bound.
  program.add({
    call: "faccessat2",
    args: [parent, name, 0, flag("AT_SYMLINK_NOFOLLOW")],
    does,
    allow: ["ENOENT"],
    then: done,
  });
  const host = program.result(paths.name("host"), {
    call: "open_tree",
    args: [flag("AT_FDCWD"), path, flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC")],
    does,
  });
  program.add({
    call: "mknodat",
    args: [parent, name, constant("S_IFREG") | 0o644, 0],
    does,
    allow: ["EEXIST"],
  });
  const target = program.result(paths.name("path"), {
    call: "openat",
    args: [parent, name, flag("O_PATH", "O_NOFOLLOW", "O_CLOEXEC"), 0],
    does,
  });
  paths.attach(host, target, does, { then: done });
  program.bind(made);
  program.add({
    call: "fchownat",
    args: [parent, name, device.uid ?? 0, device.gid ?? 0, flag("AT_SYMLINK_NOFOLLOW")],
    does,
  });
  program.bind(done);
}
