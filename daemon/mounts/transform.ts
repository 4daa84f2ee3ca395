/**
 * The prefixes of a mount's type that the daemon answers for: `format/`, `mkdir/` and `mkfs/`, in any order, before the
 * type that the kernel knows. All here is pure: what has to be made is told as a {@link Preparation}.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { ActiveMount } from "./activation.ts";
import type { MountPart } from "./perform.ts";

/** Something that must be there before a mount is performed. */
export type Preparation =
  | {
    readonly kind: "directory";
    readonly path: string;
    readonly mode: number;
    /** Undefined: the daemon's own. */
    readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  }
  | {
    readonly kind: "image";
    readonly path: string;
    /** Bytes. */
    readonly size: number;
    readonly fileSystem: FileSystemName;
    readonly uuid: string | undefined;
  };

/** File systems that images can be made with. */
export type FileSystemName = "ext2" | "ext3" | "ext4" | "xfs";

/** A mount as the kernel is to get it, and what must be made first. */
export interface Transformed {
  readonly mount: MountPart;
  readonly preparations: readonly Preparation[];
}

const prefixes = ["format", "mkdir", "mkfs"] as const;
type Prefix = typeof prefixes[number];

/** The prefixes of a type, in order, and what is behind them. An unknown one is part of the type. */
export function splitType(type: string): { readonly prefixes: readonly Prefix[]; readonly type: string } {
  const found: Prefix[] = [];
  for (let rest = type;;) {
    const prefix = prefixes.find((prefix) => rest.startsWith(`${prefix}/`));
    if (prefix === undefined) return { prefixes: found, type: rest };
    found.push(prefix);
    rest = rest.slice(prefix.length + 1);
  }
}

/** Takes the prefixes of a mount's type at their word, one after another. Throws `InvalidArgument`. */
export function transform(mount: MountPart, active: readonly ActiveMount[]): Transformed {
  const split = splitType(mount.type);
  const preparations: Preparation[] = [];
  let current: MountPart = { ...mount, type: split.type };
  for (const prefix of split.prefixes) {
    if (prefix === "format") current = formatMount(current, active);
    else if (prefix === "mkdir") current = takeDirectories(current, preparations);
    else current = takeImage(current, preparations);
  }
  return { mount: current, preparations };
}

function formatMount(mount: MountPart, active: readonly ActiveMount[]): MountPart {
  return {
    type: mount.type,
    source: formatText(mount.source, active),
    target: formatText(mount.target, active),
    options: mount.options.map((option) => formatText(option, active)),
  };
}

/** Fills in `{{ source N }}`, `{{ target N }}`, `{{ mount N }}` and `{{ overlay FIRST LAST }}`. Throws `InvalidArgument`. */
export function formatText(text: string, active: readonly ActiveMount[]): string {
  return text.replaceAll(/\{\{-?(.*?)-?\}\}/gs, (whole, inside: string) => {
    const [name = "", ...numbers] = inside.trim().split(/\s+/);
    const indexes = numbers.map((word) => /^-?\d+$/.test(word) ? Number(word) : NaN);
    const wanted = name === "overlay" ? 2 : 1;
    const known = ["source", "target", "mount", "overlay"].includes(name);
    if (!known || indexes.length !== wanted || indexes.some(Number.isNaN)) {
      throw invalid(`template "${whole}": want source, target or mount with a number, or overlay with two`);
    }
    const [first = 0, last = first] = indexes;
    if (name === "overlay") return overlayRange(first, last, active);
    const mount = active[first];
    if (mount === undefined) {
      throw invalid(`template "${whole}": index out of bounds: ${first}, has ${active.length} active mounts`);
    }
    return name === "mount" ? mount.mountPoint : name === "source" ? mount.mount.source : mount.mount.target;
  });
}

function overlayRange(first: number, last: number, active: readonly ActiveMount[]): string {
  if (active[first] === undefined || active[last] === undefined) {
    throw invalid(`invalid range: ${first}-${last}, has ${active.length} active mounts`);
  }
  const points = active.slice(Math.min(first, last), Math.max(first, last) + 1).map(({ mountPoint }) => mountPoint);
  return (first > last ? points.reverse() : points).join(":");
}

function invalid(message: string): Failure {
  return new Failure("InvalidArgument", message);
}

/** The options that begin so, without it, and the mount without them. */
function takeOptions(mount: MountPart, prefix: string): { taken: string[]; mount: MountPart } {
  const taken = mount.options.filter((option) => option.startsWith(prefix)).map((option) =>
    option.slice(prefix.length)
  );
  return { taken, mount: { ...mount, options: mount.options.filter((option) => !option.startsWith(prefix)) } };
}

function takeDirectories(mount: MountPart, preparations: Preparation[]): MountPart {
  const prefix = "X-containerd.mkdir.";
  const { taken, mount: rest } = takeOptions(mount, prefix);
  for (const option of taken) {
    const words = /^path=([^:]+)(?::([0-7]+)(?::(\d+):(\d+))?)?$/.exec(option);
    const mode = parseInt(words?.[2] ?? "700", 8);
    if (words === null || mode > 0o777) {
      throw invalid(`invalid mkdir option "${prefix}${option}": want path=PATH[:MODE[:UID:GID]]`);
    }
    const owner = words[3] === undefined ? undefined : { uid: Number(words[3]), gid: Number(words[4]) };
    preparations.push({ kind: "directory", path: words[1]!, mode, owner });
  }
  return rest;
}

const uuidForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function takeImage(mount: MountPart, preparations: Preparation[]): MountPart {
  const { taken, mount: rest } = takeOptions(mount, "X-containerd.mkfs.");
  let size = 0;
  let fileSystem: FileSystemName = "ext4";
  let uuid: string | undefined;
  for (const option of taken) {
    const equals = option.indexOf("=");
    const [key, value] = equals === -1 ? [option, ""] : [option.slice(0, equals), option.slice(equals + 1)];
    if (key === "size") size = parseBytes(value);
    else if (key === "fs") fileSystem = fileSystemOf(value);
    else if (key !== "uuid") throw invalid(`unknown mount option ${key}`);
    else if (uuidForm.test(value)) uuid = value;
    else throw invalid(`bad option uuid: "${value}" is not a UUID`);
  }
  if (size === 0) throw invalid("mkfs requires mkfs.size option");
  preparations.push({ kind: "image", path: mount.source, size, fileSystem, uuid });
  return rest;
}

function fileSystemOf(name: string): FileSystemName {
  if (name === "ext2" || name === "ext3" || name === "ext4" || name === "xfs") return name;
  throw invalid(`unsupported filesystem "${name}"`);
}

/** Such as `64MiB`, `1g` or `512`; units are powers of 1024. */
function parseBytes(text: string): number {
  const words = /^(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?$/i.exec(text);
  const bytes = words === null
    ? NaN
    : Math.floor(Number(words[1]) * 1024 ** " kmgtp".indexOf(words[2]!.toLowerCase() || " "));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw invalid(`bad option size: invalid size: '${text}'`);
}
