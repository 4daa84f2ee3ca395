/**
 * Mount options of a spec (runtime-spec config.md "Linux mount options", mount(8)) as what the mount API takes.
 *
 * @module
 */
import type { ConstantName } from "../../../ffi/constants.ts";

/** Attributes of one mount: the set to add and the set to remove. */
export interface Attributes {
  set: ConstantName[];
  clear: ConstantName[];
}

/** What the options of one mount ask for. */
export interface MountOptions {
  bind: boolean;
  recursiveBind: boolean;
  attributes: Attributes;
  /** Attributes for the mount and everything below it (`rro`, …). */
  recursiveAttributes: Attributes;
  /** One change of propagation each, in order. */
  propagation: { type: ConstantName; recursive: boolean }[];
  /** Flags of the file system itself (`sync`, `dirsync`, …), for fsconfig. */
  flags: string[];
  /** Parameters of the file system: a key alone, or with a value. */
  parameters: [key: string, value?: string][];
  /** Whether a memory file system begins with what it covers (`tmpcopyup`). */
  copyUp: boolean;
  /** Whether ids are mapped in the mount, and in those below it (`idmap`, `ridmap`). */
  idMap: "none" | "one" | "recursive";
  /** Whether the mount itself is to be read-only. */
  readOnly: boolean;
  /** Whether the option that has chosen the access times is one of those that set a flag (`noatime`, not `atime`). */
  setsTimes: boolean;
}

type Change = { set?: ConstantName; clear?: ConstantName };

/** An access-time mode replaces the other: it clears the whole field first. */
const atime = (name: ConstantName): Change => ({ set: name, clear: "MOUNT_ATTR__ATIME" });

const changes: Readonly<Record<string, Change>> = {
  ro: { set: "MOUNT_ATTR_RDONLY" },
  rw: { clear: "MOUNT_ATTR_RDONLY" },
  nosuid: { set: "MOUNT_ATTR_NOSUID" },
  suid: { clear: "MOUNT_ATTR_NOSUID" },
  nodev: { set: "MOUNT_ATTR_NODEV" },
  dev: { clear: "MOUNT_ATTR_NODEV" },
  noexec: { set: "MOUNT_ATTR_NOEXEC" },
  exec: { clear: "MOUNT_ATTR_NOEXEC" },
  nodiratime: { set: "MOUNT_ATTR_NODIRATIME" },
  diratime: { clear: "MOUNT_ATTR_NODIRATIME" },
  nosymfollow: { set: "MOUNT_ATTR_NOSYMFOLLOW" },
  symfollow: { clear: "MOUNT_ATTR_NOSYMFOLLOW" },
  relatime: atime("MOUNT_ATTR_RELATIME"),
  noatime: atime("MOUNT_ATTR_NOATIME"),
  strictatime: atime("MOUNT_ATTR_STRICTATIME"),
  atime: atime("MOUNT_ATTR_RELATIME"),
  norelatime: atime("MOUNT_ATTR_STRICTATIME"),
  nostrictatime: atime("MOUNT_ATTR_RELATIME"),
};

const timeFlags = new Set(["relatime", "noatime", "strictatime"]);

const propagations: Readonly<Record<string, ConstantName>> = {
  shared: "MS_SHARED",
  private: "MS_PRIVATE",
  slave: "MS_SLAVE",
  unbindable: "MS_UNBINDABLE",
};

/**
 * Options that change nothing: the default, what only mount(8) looks at, and versions of inodes, which file systems
 * count always or by an option of their own: fsconfig(2) has no flag for them.
 */
const without = new Set(["defaults", "loud", "silent", "iversion", "noiversion"]);
const superblockFlags = new Set(["sync", "dirsync", "lazytime", "mand"]);
/** Options that take back a flag that was given before. */
const takenBack: Readonly<Record<string, string>> = { async: "sync", nolazytime: "lazytime", nomand: "mand" };

/** Names of all options that are more than a parameter of some file system, in alphabetical order. */
export function knownMountOptions(): string[] {
  const recursive = (names: readonly string[]): string[] => names.flatMap((name) => [name, `r${name}`]);
  return [
    ...["bind", "idmap", "rbind", "remount", "ridmap", "tmpcopyup"],
    ...recursive(Object.keys(changes)),
    ...recursive(Object.keys(propagations)),
    ...without,
    ...superblockFlags,
    ...Object.keys(takenBack),
  ].sort();
}

/** The options by meaning. Unknown ones are parameters of the file system, which knows best. */
export function parseMountOptions(options: readonly string[]): MountOptions {
  const parsed: MountOptions = {
    bind: false,
    recursiveBind: false,
    attributes: { set: [], clear: [] },
    recursiveAttributes: { set: [], clear: [] },
    propagation: [],
    flags: [],
    parameters: [],
    copyUp: false,
    idMap: "none",
    readOnly: false,
    setsTimes: false,
  };
  for (const option of options) parseOption(parsed, option);
  return parsed;
}

function parseOption(parsed: MountOptions, option: string): void {
  const plain = option.startsWith("r") ? option.slice(1) : "";
  if (option === "bind" || option === "rbind") {
    parsed.bind = true;
    parsed.recursiveBind ||= option === "rbind";
  } else if (option === "tmpcopyup") {
    parsed.copyUp = true;
  } else if (option === "idmap" || option === "ridmap") {
    parsed.idMap = option === "idmap" ? "one" : "recursive";
  } else if (changes[option] !== undefined) {
    apply(parsed.attributes, changes[option]);
    if (option === "ro" || option === "rw") parsed.readOnly = option === "ro";
    if (changes[option].clear === "MOUNT_ATTR__ATIME") parsed.setsTimes = timeFlags.has(option);
  } else if (propagations[option] !== undefined) {
    parsed.propagation.push({ type: propagations[option], recursive: false });
  } else if (propagations[plain] !== undefined) {
    parsed.propagation.push({ type: propagations[plain], recursive: true });
  } else if (changes[plain] !== undefined) {
    apply(parsed.recursiveAttributes, changes[plain]);
  } else if (superblockFlags.has(option)) {
    parsed.flags.push(option);
  } else if (takenBack[option] !== undefined) {
    parsed.flags = parsed.flags.filter((flag) => flag !== takenBack[option]);
  } else if (!without.has(option)) {
    const equals = option.indexOf("=");
    parsed.parameters.push(equals < 0 ? [option] : [option.slice(0, equals), option.slice(equals + 1)]);
  }
}

/** A later option wins over an earlier one. */
function apply(attributes: Attributes, change: Change): void {
  const drop = (list: ConstantName[], name: ConstantName | undefined): ConstantName[] =>
    list.filter((other) => other !== name);
  const isAtime = change.clear === "MOUNT_ATTR__ATIME";
  attributes.set = drop(drop(attributes.set, change.clear), change.set);
  if (isAtime) {
    const modes: ConstantName[] = ["MOUNT_ATTR_RELATIME", "MOUNT_ATTR_NOATIME", "MOUNT_ATTR_STRICTATIME"];
    attributes.set = attributes.set.filter((name) => !modes.includes(name));
  }
  attributes.clear = drop(drop(attributes.clear, change.set), change.clear);
  if (change.set !== undefined) attributes.set.push(change.set);
  if (change.clear !== undefined) attributes.clear.push(change.clear);
}
