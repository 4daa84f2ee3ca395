/**
 * The home directory of a user of an overlay that is mounted nowhere yet.
 *
 * @module
 */
import type { RootSource } from "../oci/plan/facts.ts";
import { readInRoot } from "../oci/read_in_root.ts";

/** The home directory that the layers' /etc/passwd names; `/` where it names none. */
export function homeOf(source: Extract<RootSource, { kind: "overlay" }>, uid: number): string {
  for (const line of passwdOf(source).split("\n")) {
    const [, , id, , , home] = line.split(":");
    if (id === String(uid) && home !== undefined && home !== "") return home;
  }
  return "/";
}

/** The nearest layer that has the file decides. */
function passwdOf({ base, upper, lower }: Extract<RootSource, { kind: "overlay" }>): string {
  for (const layer of upper === undefined ? lower : [upper, ...lower]) {
    const directory = layer.startsWith("/") ? layer : `${base}/${layer}`;
    let info: Deno.FileInfo;
    try {
      info = Deno.lstatSync(`${directory}/etc/passwd`);
    } catch {
      continue;
    }
    // A character device 0:0 is a whiteout: the file was removed.
    return info.isCharDevice === true ? "" : readInRoot(directory, "etc/passwd") ?? "";
  }
  return "";
}
