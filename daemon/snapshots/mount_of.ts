/**
 * Which mount a path is on.
 *
 * @module
 */
import { unescapeMountField } from "../../ffi/mount_table.ts";

/** One line of /proc/self/mountinfo. */
export interface MountEntry {
  /** Where it is mounted. */
  readonly target: string;
  /** Of the file system, such as `btrfs`. */
  readonly type: string;
  /** Such as the device. */
  readonly source: string;
}

/** The mount that has a path, which is absolute and without symbolic links; undefined where none has. */
export function mountOf(path: string, table = Deno.readTextFileSync("/proc/self/mountinfo")): MountEntry | undefined {
  let found: MountEntry | undefined;
  for (const line of table.split("\n")) {
    const [before, after] = line.split(" - ");
    const target = unescapeMountField(before?.split(" ")[4] ?? "");
    const [type, source] = after?.split(" ") ?? [];
    if (type === undefined || source === undefined) continue;
    const has = target === "/" || path === target || path.startsWith(`${target}/`);
    // The last one on the same place covers the others.
    if (has && target.length >= (found?.target.length ?? 0)) {
      found = { target, type, source: unescapeMountField(source) };
    }
  }
  return found;
}
