/**
 * How many processes the kernel has killed in a cgroup because memory ran out.
 *
 * @module
 */
import { readControlIfThere } from "./control_file.ts";
import type { CgroupDirectory } from "./directory.ts";
import { parseFlat } from "./stats_text.ts";

/** The count; 0 where the kernel keeps none, or the cgroup is gone. */
export function oomKills(places: readonly CgroupDirectory[]): number {
  const first = places.find(({ controllers }) => controllers.includes("memory"));
  const place = first ?? places.find(({ version, name }) => version === 2 && name === "");
  if (place === undefined) return 0;
  const file = first === undefined ? "memory.events" : "memory.oom_control";
  return parseFlat(readControlIfThere(`${place.path}/${file}`))["oom_kill"] ?? 0;
}
