/**
 * The host's mounts that a container without pivot_root(2) would keep below its root.
 *
 * @module
 */
import { unescapeMountField } from "../../ffi/mount_table.ts";
import type { HostMounts } from "./plan/facts.ts";

/**
 * What the table (`/proc/self/mountinfo`, proc_pid_mountinfo(5)) has: what is mounted on the root's own file system, each with
 * all that is mounted upon it, hidden or not; and every proc and sysfs.
 */
export function hostMounts(table = Deno.readTextFileSync("/proc/self/mountinfo")): HostMounts {
  const entries = table.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [id, parent, , , target] = before.split(" ");
    return target === undefined ? [] : [{ id, parent, target: unescapeMountField(target), type: after.split(" ")[0] }];
  });
  // The last one on the same place covers the others.
  const root = entries.findLast(({ target }) => target === "/");
  return {
    onRoot: entries.filter(({ parent, target }) => parent === root?.id && target !== "/").map(({ target }) => target),
    kernels: entries.filter(({ type }) => type === "proc" || type === "sysfs").map(({ target }) => target),
  };
}
