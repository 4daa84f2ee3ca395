/**
 * `--mount type=bind|tmpfs,source=…,target=…,…`, in docker's syntax: one line of CSV with keys and values.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { parseBoolean } from "../../flags.ts";
import { csvFields } from "./csv.ts";
import { parseSize } from "./size.ts";
import { parseTarget } from "./target.ts";
import { tmpfsDefaults } from "./tmpfs_flag.ts";
import { isPropagation, type MountRequest, type Propagation, propagations } from "./volume.ts";

const aliases: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
};
const commonKeys = ["type", "target", "readonly"];
const keysOf = {
  bind: ["source", "bind-propagation", "bind-recursive", "bind-nonrecursive"],
  tmpfs: ["tmpfs-size", "tmpfs-mode"],
} as const;
const anyKeys: readonly string[] = [...commonKeys, ...keysOf.bind, ...keysOf.tmpfs];

/** The mount of a text such as `type=bind,source=/a,target=/b,readonly`. Throws `InvalidArgument`. */
export function parseMount(text: string): MountRequest {
  const values = new Map<string, string>();
  for (const field of csvFields(text)) {
    const equals = field.indexOf("=");
    const given = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase();
    const key = aliases[given] ?? given;
    if (!anyKeys.includes(key)) {
      throw new Failure("InvalidArgument", `want the keys ${anyKeys.join(", ")}, not "${given}"`);
    }
    if (values.has(key)) throw new Failure("InvalidArgument", `want the key ${key} only once`);
    if (equals >= 0) values.set(key, field.slice(equals + 1));
    else if (key === "readonly" || key === "bind-nonrecursive") values.set(key, "true");
    else throw new Failure("InvalidArgument", `want a value for the key ${given}`);
  }
  // Docker's default type is a named volume, which there is not.
  const type = values.get("type");
  if (type !== "bind" && type !== "tmpfs") {
    throw new Failure(
      "InvalidArgument",
      type === undefined ? "want type=bind or type=tmpfs" : `want the type bind or tmpfs, not "${type}"`,
    );
  }
  const foreign = [...values.keys()].find((key) => ![...commonKeys, ...keysOf[type]].includes(key));
  if (foreign !== undefined) throw new Failure("InvalidArgument", `want no ${foreign} for the type ${type}`);
  const target = values.get("target");
  if (target === undefined) throw new Failure("InvalidArgument", "want target=PATH");
  return type === "bind" ? bind(values, parseTarget(target)) : tmpfs(values, parseTarget(target));
}

function boolean(values: ReadonlyMap<string, string>, key: string): boolean {
  const value = parseBoolean(values.get(key) ?? "false");
  if (value === undefined) throw new Failure("InvalidArgument", `want true or false for the key ${key}`);
  return value;
}

function bind(values: ReadonlyMap<string, string>, target: string): MountRequest {
  const source = values.get("source") ?? "";
  if (source === "") throw new Failure("InvalidArgument", "want source=PATH for the type bind");
  const recursive = values.get("bind-recursive") ?? "enabled";
  if (recursive !== "enabled" && recursive !== "disabled") {
    throw new Failure("InvalidArgument", `want enabled or disabled for the key bind-recursive, not "${recursive}"`);
  }
  return {
    type: "bind",
    source,
    target,
    readonly: boolean(values, "readonly"),
    propagation: propagationOf(values.get("bind-propagation") ?? "rprivate"),
    recursive: recursive === "enabled" && !boolean(values, "bind-nonrecursive"),
    createSource: false,
  };
}

function propagationOf(text: string): Propagation {
  if (!isPropagation(text)) {
    throw new Failure("InvalidArgument", `want ${propagations.join(", ")} for the key bind-propagation, not "${text}"`);
  }
  return text;
}

function tmpfs(values: ReadonlyMap<string, string>, target: string): MountRequest {
  const options: string[] = [...tmpfsDefaults];
  if (boolean(values, "readonly")) options.push("ro");
  const size = values.get("tmpfs-size");
  if (size !== undefined) options.push(`size=${parseSize(size)}`);
  const mode = values.get("tmpfs-mode");
  if (mode !== undefined) {
    if (!/^[0-7]{1,5}$/.test(mode)) {
      throw new Failure("InvalidArgument", "want an octal number such as 1777 for the key tmpfs-mode");
    }
    options.push(`mode=${mode}`);
  }
  return { type: "tmpfs", target, options };
}
