/**
 * The host's mounts that a container without pivot_root(2) would keep below its root.
 *
 * @module
 */
import type { HostMounts } from "./plan/facts.ts";

/**
 * What the table (`/proc/self/mountinfo`, proc_pid_mountinfo(5)) has: what is mounted on the root's own file system, each with
 * all that is mounted upon it, hidden or not; and every proc and sysfs.
 */
export function hostMounts(table = Deno.readTextFileSync("/proc/self/mountinfo")): HostMounts {
  const entries = table.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [id, parent, , , target] = before.split(" ");
    return target === undefined ? [] : [{ id, parent, target: unescape(target), type: after.split(" ")[0] }];
  });
  // The last one on the same place covers the others.
  const root = entries.findLast(({ target }) => target === "/");
  return {
    onRoot: entries.filter(({ parent, target }) => parent === root?.id && target !== "/").map(({ target }) => target),
    kernels: entries.filter(({ type }) => type === "proc" || type === "sysfs").map(({ target }) => target),
  };
}

/** The kernel writes blanks and backslashes as octal numbers. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
