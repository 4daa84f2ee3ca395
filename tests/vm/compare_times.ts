/**
 * Times of barge, runc and crun in the virtual machine, for the table of `deno task bench`. It is the only place where
 * crun can be compared: it refuses hosts whose cgroups are a mixture of versions. The machine is emulated, so the times
 * say something beside each other only.
 *
 * `deno run -A tests/vm/compare_times.ts` prints them as JSON.
 *
 * @module
 */
import { runtimes } from "./cases/runtimes.ts";
import { writeGuestBundle } from "./guest_bundle.ts";
import { bootMachine, type Machine } from "./machine.ts";

/** Medians of one runtime, in milliseconds. */
export interface GuestTimes {
  readonly runtime: string;
  /** `run` of a container that ends at once. */
  readonly runMs: number;
  /** `create`, `start` and `delete --force`, three commands one after another. */
  readonly lifeMs: number;
  /** `exec` of a command that ends at once. */
  readonly execMs: number;
}

/** Times `body` as many times as asked for, each on a line in microseconds, after one that does not count. */
function timed(count: number, body: string): string {
  return `{ ${body}; } >/dev/null 2>&1 </dev/null
for n in $(seq ${count}); do
  before=$EPOCHREALTIME; { ${body}; } >/dev/null 2>&1 </dev/null || exit 1; after=$EPOCHREALTIME
  echo $(( \${after/./} - \${before/./} ))
done
`;
}

function medianMs(lines: string): number {
  const sorted = lines.trim().split("\n").map(Number).sort((one, other) => one - other);
  return Math.round(sorted[sorted.length >> 1]! / 10) / 100;
}

/** Measures each runtime `count` times (default 7); takes about `count` × 20 s. */
export async function compareTimes(machine: Machine, count = 7): Promise<GuestTimes[]> {
  await writeGuestBundle(machine, "/guest/brief", "true");
  await writeGuestBundle(machine, "/guest/lasting", "exec sleep 1000");
  const times: GuestTimes[] = [];
  for (const [runtime, command] of runtimes) {
    const measure = async (prepare: string, body: string, end: string) => {
      const script = `${prepare}\n${timed(count, body)}\n${end}`;
      return medianMs(await machine.succeed(script, { seconds: 60 + count * 60 }));
    };
    times.push({
      runtime,
      runMs: await measure("cd /guest/brief", `${command} run timed`, "true"),
      lifeMs: await measure(
        "cd /guest/lasting",
        `${command} create timed && ${command} start timed && ${command} delete --force timed`,
        "true",
      ),
      execMs: await measure(
        `cd /guest/lasting; ${command} run --detach timed >/dev/null 2>&1 </dev/null`,
        `${command} exec timed true`,
        `${command} delete --force timed`,
      ),
    });
  }
  return times;
}

if (import.meta.main) {
  await using machine = await bootMachine();
  console.log(JSON.stringify(await compareTimes(machine), null, 2));
}
