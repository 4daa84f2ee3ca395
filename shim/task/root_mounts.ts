/**
 * From the mounts of a request to the root file system of a container.
 *
 * One overlay or bind is mounted in the container's own mount namespace, and is gone with its last process. What a hook
 * or another runtime has to see is mounted at the bundle's `rootfs`, as containerd's own shims do.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Mount } from "../../api/gen/types/mount.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { type ConstantName, flags, sumOf } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import { performMount, unmount } from "../../ffi/mount.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { call, callOnThread } from "../../ffi/syscall.ts";
import { needsHostRootfs } from "../oci/hooks/hook_state.ts";
import type { RootSource } from "../oci/plan/facts.ts";
import type { IdMaps } from "../oci/plan/id_maps.ts";
import { mountNamespaceOf } from "../oci/plan/mount_namespace.ts";
import { splitLowers } from "../../ffi/lower_directories.ts";
import { mountOptionsLimit, overlayOptionsLength } from "../oci/plan/root.ts";
import { splitIdMaps } from "./id_map_options.ts";

/** A root file system. */
export interface PreparedRoot {
  readonly source: RootSource;
  /** Where it was mounted on the host; undefined where it was not. */
  readonly mounted?: string;
}

/** What decides how a root is made. */
export interface RootOptions {
  readonly spec: Spec;
  /** Absolute. */
  readonly bundle: string;
  readonly mounts: readonly Mount[];
  /** Whether another program makes the container. */
  readonly external: boolean;
}

/** Options of overlays that go to the file system as they are; all others are flags of the mount. */
const overlayOption = /^(index|metacopy|redirect_dir|xino|userxattr|uuid|verity|nfs_export|volatile)(=|$)/;

/** Makes the root ready. Throws {@link Failure}; nothing is mounted then. */
export async function prepareRoot(reactor: Reactor, options: RootOptions): Promise<PreparedRoot> {
  const { spec, bundle, mounts } = options;
  const given = spec.root?.path ?? "rootfs";
  const path = given.startsWith("/") ? given : `${bundle}/${given}`;
  if (mounts.length === 0) return { source: { kind: "directory", path: existingDirectory(path) } };
  const rootfs = `${bundle}/rootfs`;
  makeRootDirectory(rootfs);
  // What is mounted below a shared root is to be seen outside.
  const isSeen = needsHostRootfs(spec) || mountNamespaceOf(spec) === "host's" ||
    spec.linux?.rootfsPropagation?.endsWith("shared") === true;
  const inside = path === rootfs && mounts.length === 1 && !options.external && !isSeen
    ? insideSource(mounts[0]!, spec, rootfs)
    : undefined;
  if (inside !== undefined) return { source: inside };
  await mountAll(reactor, mounts, rootfs);
  return { source: { kind: "directory", path: existingDirectory(path) }, mounted: rootfs };
}

function makeRootDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { mode: 0o711 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** A link at the end would be followed by the mount, whoever has put it there. */
function existingDirectory(path: string): string {
  let isLink: boolean;
  try {
    isLink = Deno.lstatSync(path).isSymlink;
  } catch (error) {
    throw new Failure("NotFound", `root.path "${path}" does not exist`, { cause: error });
  }
  if (isLink) throw new Failure("InvalidArgument", `root.path "${path}" is a symbolic link: want the directory itself`);
  return Deno.realPathSync(path);
}

/** The source where it can be mounted in the container's namespace with nothing lost. */
function insideSource(mount: Mount, spec: Spec, mountpoint: string): RootSource | undefined {
  if (mount.target !== "") return undefined;
  const { options, idMaps } = splitIdMaps(mount.options);
  const mapped = idMaps === undefined ? {} : { idMaps };
  if (isBind(mount)) {
    const writable = options.every((option) => ["bind", "rbind", "rw"].includes(option));
    const readOnly = options.every((option) => ["bind", "rbind", "ro"].includes(option));
    if (!writable && !(readOnly && spec.root?.readonly === true)) return undefined;
    return { kind: "directory", path: existingDirectory(mount.source), ...mapped };
  }
  const source = mount.type === "overlay" ? overlaySource(options, mountpoint) : undefined;
  return source === undefined ? undefined : { ...source, ...mapped };
}

function isBind({ type, options }: Pick<Mount, "type" | "options">): boolean {
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

function overlaySource(options: readonly string[], mountpoint: string) {
  const value = (key: string): string | undefined =>
    options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);
  const lower = value("lowerdir"), upper = value("upperdir"), work = value("workdir");
  const rest = options.filter((option) => !/^(upperdir|workdir|lowerdir)=/.test(option));
  // In the other two a backslash may escape anything, and `::` begins layers of data only.
  if (lower === undefined || `${upper}${work}`.includes("\\") || lower.includes("::")) return undefined;
  if (!rest.every((option) => overlayOption.test(option))) return undefined;
  const layers = splitLowers(lower);
  const base = commonDirectory([...layers, upper, work].filter((path) => path !== undefined));
  const relative = (path: string): string => base === "/" ? path : path.slice(base.length + 1);
  const source = {
    kind: "overlay" as const,
    base,
    lower: layers.map(relative),
    ...(upper === undefined || work === undefined ? {} : { upper: relative(upper), work: relative(work) }),
    options: rest,
    mountpoint,
  };
  return overlayOptionsLength(source) > mountOptionsLimit ? undefined : source;
}

/** The longest directory that all paths are below. */
function commonDirectory(paths: readonly string[]): string {
  const split = paths.map((path) => path.split("/").slice(0, -1));
  const [first = [], ...others] = split;
  let length = 0;
  while (length < first.length && others.every((other) => other[length] === first[length])) length++;
  return first.slice(0, length).join("/") || "/";
}

/** Names of mount(8) for flags of mount(2). */
const mountFlags: Readonly<Record<string, ConstantName>> = {
  ro: "MS_RDONLY",
  nosuid: "MS_NOSUID",
  nodev: "MS_NODEV",
  noexec: "MS_NOEXEC",
  sync: "MS_SYNCHRONOUS",
  dirsync: "MS_DIRSYNC",
  mand: "MS_MANDLOCK",
  noatime: "MS_NOATIME",
  nodiratime: "MS_NODIRATIME",
  relatime: "MS_RELATIME",
  strictatime: "MS_STRICTATIME",
};
const withoutFlag = new Set([
  "rw",
  "suid",
  "dev",
  "exec",
  "async",
  "nomand",
  "atime",
  "diratime",
  "defaults",
  "bind",
  "rbind",
]);

/** Mounts one over the other at the directory, or below it where they say so. On failure all are unmounted. */
async function mountAll(reactor: Reactor, mounts: readonly Mount[], rootfs: string): Promise<void> {
  const done: string[] = [];
  try {
    for (const mount of mounts) {
      const target = mount.target === "" ? rootfs : `${rootfs}/${mount.target}`;
      const { options, idMaps } = splitIdMaps(mount.options);
      if (idMaps === undefined) mountOne(mount, target);
      else await mountMapped(reactor, { ...mount, options }, target, idMaps);
      done.push(target);
    }
  } catch (error) {
    for (const target of done.toReversed()) unmount(target, { detach: true });
    throw new Failure(
      "Unknown",
      `failed to mount rootfs component: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
}

function mountOne({ type, source, options }: Mount, target: string): void {
  if (!isBind({ type, options })) {
    const data = options.filter((option) => mountFlags[option] === undefined && !withoutFlag.has(option));
    performMount(source, target, type, bitsOf(options), data.join(","));
    return;
  }
  const bind = flags("MS_BIND") | (options.includes("rbind") ? flags("MS_REC") : 0);
  performMount(source, target, "", bind, "");
  remountBind(target, options);
}

/** The flags of a bind are looked at by a second call only. */
function remountBind(target: string, options: readonly string[]): void {
  const bits = bitsOf(options);
  if (bits !== 0) call("mount", "none", target, 0, flags("MS_BIND", "MS_REMOUNT") | bits, 0);
}

function bitsOf(options: readonly string[]): number {
  return sumOf([...new Set(options.map((option) => mountFlags[option]).filter((name) => name !== undefined))]);
}

/** Mounts what has ids mapped: a bind, or an overlay whose lower layers have. */
async function mountMapped(reactor: Reactor, mount: Mount, target: string, idMaps: IdMaps): Promise<void> {
  const { type, options } = mount;
  const { attachMount, openDetachedRoot } = await import("../oci/detached_root.ts");
  const source = isBind(mount)
    ? { kind: "directory" as const, path: existingDirectory(mount.source) }
    : type === "overlay"
    ? overlaySource(options, target)
    : undefined;
  if (source === undefined) {
    throw new Failure(
      "InvalidArgument",
      `mount of type "${type}" with the options "${options.join(",")}": ids cannot be mapped in it`,
    );
  }
  using detached = await openDetachedRoot(reactor, { ...source, idMaps });
  attachMount(detached, target);
  if (isBind(mount)) remountBind(target, options);
}

/** Unmounts everything at and below a directory, on a thread: the last unmount may wait for the disk. */
export async function unmountAll(directory: string): Promise<void> {
  // Each turn takes what is on top; more than this cannot have been mounted by us.
  for (let turn = 0; turn < 64; turn++) {
    const targets = mountsBelow(directory);
    if (targets.length === 0) return;
    for (const target of targets.toReversed()) {
      await callOnThread("umount2", target, flags("UMOUNT_NOFOLLOW", "MNT_DETACH"));
    }
  }
  throw new Failure("FailedPrecondition", `cannot unmount "${directory}"`);
}

/** Mount points at and below the directory, in the order in which they were made. */
function mountsBelow(directory: string): string[] {
  try {
    const lines = Deno.readTextFileSync("/proc/self/mountinfo").split("\n");
    const points = lines.map((line) => (line.split(" ")[4] ?? "").replace(/\\([0-7]{3})/g, octal));
    return points.filter((point) => point === directory || point.startsWith(`${directory}/`));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function octal(_match: string, digits: string): string {
  return String.fromCharCode(parseInt(digits, 8));
}
