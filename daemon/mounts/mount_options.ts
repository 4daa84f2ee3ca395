/**
 * The options of a mount of the API as mount(2) takes them, by the rules of containerd's mount package.
 *
 * @module
 */
import { joinLowers, splitLowers } from "../../ffi/lower_directories.ts";
import { Failure } from "../../api/errors.ts";
import { type ConstantName, flags } from "../../ffi/constants.ts";

/** What the options of one mount come to. */
export interface ParsedOptions {
  /** For mount(2), without those that change propagation. */
  readonly flags: number;
  /** Changes of propagation, with MS_REC where the mount is recursive; 0 for none. */
  readonly propagation: number;
  /** Options of the file system itself, in order. */
  readonly data: readonly string[];
  /** Whether the source is a file that is to become a block device first. */
  readonly loop: boolean;
  /** Whether that device passes by the file's page cache. */
  readonly directIo: boolean;
}

type Change = readonly ["set" | "clear", ...ConstantName[]];

const changes: Readonly<Record<string, Change>> = {
  async: ["clear", "MS_SYNCHRONOUS"],
  atime: ["clear", "MS_NOATIME"],
  bind: ["set", "MS_BIND"],
  dev: ["clear", "MS_NODEV"],
  diratime: ["clear", "MS_NODIRATIME"],
  dirsync: ["set", "MS_DIRSYNC"],
  exec: ["clear", "MS_NOEXEC"],
  mand: ["set", "MS_MANDLOCK"],
  noatime: ["set", "MS_NOATIME"],
  nodev: ["set", "MS_NODEV"],
  nodiratime: ["set", "MS_NODIRATIME"],
  noexec: ["set", "MS_NOEXEC"],
  nomand: ["clear", "MS_MANDLOCK"],
  norelatime: ["clear", "MS_RELATIME"],
  nostrictatime: ["clear", "MS_STRICTATIME"],
  nosuid: ["set", "MS_NOSUID"],
  private: ["set", "MS_PRIVATE"],
  rbind: ["set", "MS_BIND", "MS_REC"],
  relatime: ["set", "MS_RELATIME"],
  remount: ["set", "MS_REMOUNT"],
  ro: ["set", "MS_RDONLY"],
  rprivate: ["set", "MS_PRIVATE", "MS_REC"],
  rshared: ["set", "MS_SHARED", "MS_REC"],
  rslave: ["set", "MS_SLAVE", "MS_REC"],
  runbindable: ["set", "MS_UNBINDABLE", "MS_REC"],
  rw: ["clear", "MS_RDONLY"],
  shared: ["set", "MS_SHARED"],
  slave: ["set", "MS_SLAVE"],
  strictatime: ["set", "MS_STRICTATIME"],
  suid: ["clear", "MS_NOSUID"],
  sync: ["set", "MS_SYNCHRONOUS"],
  unbindable: ["set", "MS_UNBINDABLE"],
};

/** mount(8) has it, and mount(2) has nothing that it would mean. */
const meaningless = "defaults";

/**
 * Parses the options: flags by their names, later ones over earlier ones, and the rest as data.
 *
 * Throws `NotImplemented` for `uidmap=` and `gidmap=`: mounts with mapped owners are not made here.
 */
export function parseMountOptions(options: readonly string[]): ParsedOptions {
  let all = 0;
  let loop = false;
  let directIo = false;
  const data: string[] = [];
  for (const option of options) {
    const change = changes[option];
    if (change !== undefined) {
      const [how, ...names] = change;
      all = how === "set" ? all | flags(...names) : all & ~flags(...names);
    } else if (option === "loop") {
      loop = true;
    } else if (/^[ug]idmap=/.test(option)) {
      throw new Failure("NotImplemented", `mount option "${option}": mounts with mapped owners are not made here`);
    } else if (option !== meaningless && option !== "") {
      data.push(option);
    }
  }
  const types = flags("MS_SHARED", "MS_PRIVATE", "MS_SLAVE", "MS_UNBINDABLE");
  if (loop) {
    directIo = data.includes("direct-io");
    if (directIo) data.splice(data.indexOf("direct-io"), 1);
  }
  const propagation = (all & types) === 0 ? 0 : all & (types | flags("MS_REC"));
  return { flags: all & ~types, propagation, data, loop, directIo };
}

/** The value of an overlay's option such as `upperdir`; undefined where it has none. */
export function overlayOption(options: readonly string[], name: string): string | undefined {
  return options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
}

/**
 * Where a mount's options are read that are too long for the kernel's one page: lower directories relative to the
 * directory that they have in common.
 */
export interface CompactOptions {
  readonly directory: string;
  readonly data: readonly string[];
}

/** Makes lower directories relative. Undefined where they have no directory in common. */
export function compactLowers(data: readonly string[]): CompactOptions | undefined {
  const lowers = splitLowers(overlayOption(data, "lowerdir") ?? "");
  const [first] = lowers;
  if (first === undefined || lowers.length < 2) return undefined;
  const parts = first.split("/");
  let common = 0;
  while (common < parts.length && lowers.every((dir) => dir.split("/")[common] === parts[common])) common++;
  const directory = parts.slice(0, common).join("/");
  if (directory === "" || lowers.some((dir) => dir.length <= directory.length + 1)) return undefined;
  const relative = joinLowers(lowers.map((dir) => dir.slice(directory.length + 1)));
  return {
    directory,
    data: data.map((option) => option.startsWith("lowerdir=") ? `lowerdir=${relative}` : option),
  };
}
