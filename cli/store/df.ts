/**
 * `barge df`: what takes the disk.
 *
 * @module
 */
import { diskUsage } from "../../daemon/gc/disk_usage.ts";
import { findDead } from "../../daemon/gc/mark.ts";
import { formatBytes } from "../progress/amount.ts";
import { perform, type StoreCommand } from "./command.ts";
import { findRoot, placeFlags, readRoot } from "./place.ts";
import { renderTable } from "./table.ts";

const flags = { root: placeFlags.root, json: placeFlags.json } as const;

const command: StoreCommand<typeof flags> = {
  name: "df",
  flags,
  help: {
    usage: "barge df [flags]",
    description: "Shows what takes the disk below a root directory, and what a collection would free.",
  },
  perform: async ({ root, json }) => {
    const place = findRoot(root);
    using reader = readRoot(place);
    const { dead } = findDead(reader, Date.now());
    const { rows, total } = await diskUsage(place, reader, dead);
    const reclaimable = rows.reduce((sum, row) => sum + row.reclaimable, 0);
    if (json) {
      console.log(JSON.stringify({ root: place, rows, total, reclaimable }, null, 2));
      return 0;
    }
    const cells = rows.map(({ what, objects, size, reclaimable }) => [
      what,
      objects === undefined ? "" : String(objects),
      formatBytes(size),
      formatBytes(reclaimable),
    ]);
    cells.push(["total", "", formatBytes(total), formatBytes(reclaimable)]);
    console.log(`${place}\n${renderTable(["WHAT", " OBJECTS", " SIZE", " RECLAIMABLE"], cells)}`);
    return 0;
  },
};

/** Performs the command line; gives the exit code. */
export function main(args: string[]): Promise<number> {
  return perform(command, args);
}
