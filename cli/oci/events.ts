/**
 * `events ID`: what a container uses, and when memory runs out, as lines of JSON.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { Cgroup } from "../../shim/oci/cgroup/cgroup.ts";
import { oomKills } from "../../shim/oci/cgroup/oom_kills.ts";
import { readStats } from "../../shim/oci/cgroup/stats.ts";
import { StateDirectory } from "../../shim/oci/container_state.ts";
import { isAlive } from "../../shim/oci/status.ts";
import { parseFlags } from "../flags.ts";
import { eventsFlags } from "./flags.ts";
import { oneId } from "./one_id.ts";

/** How soon an end, or a process killed for lack of memory, is seen. */
const lookMs = 100;

/**
 * Prints statistics every `--interval` until the container ends, or with `--stats` once. Throws `FailedPrecondition`
 * where it does not run.
 */
export async function events(root: string, args: string[]): Promise<void> {
  const { flags, args: positionals } = parseFlags(eventsFlags, args, { singleDashLong: true });
  const id = oneId("events", positionals);
  const state = new StateDirectory(root, id).read();
  if (!isAlive(state)) throw new Failure("FailedPrecondition", `container with id ${id} is not running`);
  const { places } = Cgroup.fromRecord(state.cgroup);
  const print = (type: string, data?: unknown): void => {
    const line = JSON.stringify({ type, id, ...(data === undefined ? {} : { data }) });
    Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
  };
  if (flags.stats) {
    print("stats", readStats(places));
    return;
  }
  let kills = oomKills(places);
  const lookForKills = (): void => {
    const now = oomKills(places);
    if (now > kills) print("oom");
    kills = now;
  };
  for (let waitedMs = 0; isAlive(state); waitedMs += lookMs) {
    if (waitedMs >= flags.interval) {
      print("stats", readStats(places));
      waitedMs = 0;
    }
    lookForKills();
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  // What ended the container may have been just that.
  lookForKills();
}
