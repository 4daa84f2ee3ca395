/**
 * `--tmpfs TARGET[:OPTIONS]`.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { parseSize } from "./size.ts";
import { parseTarget } from "./target.ts";
import type { TmpfsRequest } from "./volume.ts";

/** Options of every such mount unless the user says the opposite; docker's. */
export const tmpfsDefaults: readonly string[] = ["nosuid", "nodev", "noexec"];

const words = new Set(
  ("ro rw suid nosuid dev nodev exec noexec sync async atime noatime diratime nodiratime relatime norelatime " +
    "strictatime nostrictatime").split(" "),
);
const keys = new Set(["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"]);

/** The file system of a text such as `/run:size=64m,mode=755`. Throws `InvalidArgument` for an unknown option. */
export function parseTmpfs(text: string): TmpfsRequest {
  const colon = text.indexOf(":");
  const target = parseTarget(colon < 0 ? text : text.slice(0, colon));
  const given = colon < 0 ? [] : text.slice(colon + 1).split(",").filter((option) => option !== "").map(checkOption);
  const opposite = (option: string) => option.startsWith("no") ? option.slice(2) : `no${option}`;
  const kept = tmpfsDefaults.filter((option) => !given.includes(opposite(option)) && !given.includes(option));
  return { type: "tmpfs", target, options: [...kept, ...given] };
}

function checkOption(option: string): string {
  const equals = option.indexOf("=");
  const key = equals < 0 ? option : option.slice(0, equals);
  if (equals < 0 ? words.has(key) : keys.has(key) && equals < option.length - 1) {
    // The kernel knows k, m and g but neither fractions nor "mb"; a share of memory (50%) is its own.
    return key === "size" && !option.endsWith("%") ? `size=${parseSize(option.slice(equals + 1))}` : option;
  }
  throw new Failure(
    "InvalidArgument",
    `want options as ro, exec, ${[...keys].map((name) => `${name}=`).join(", ")}, not "${option}"`,
  );
}
