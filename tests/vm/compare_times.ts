/**
 * Times of barge, runc and crun in the virtual machine, for the table of `deno task bench`. It is the only place where
 * crun can be compared: it refuses hosts whose cgroups are a mixture of versions. The machine is emulated, so the times
 * say something beside each other only.
 *
 * `deno run -A tests/vm/compare_times.ts [ROUNDS]` prints them as JSON.
 *
 * @module
 */
import { runtimes } from "./cases/runtimes.ts";
import { writeGuestBundle } from "./guest_bundle.ts";
import { bootMachine, type Machine } from "./machine.ts";

/** What is timed. */
export interface GuestWork {
  readonly name: string;
  /** Shell text before the first round and after the last one; `$R` is the runtime, `$N` its name. */
  readonly before: string;
  readonly after: string;
  /** Shell text that is timed, which must succeed. */
  readonly body: string;
}

/** Times of one work, in milliseconds, by the runtime's name. */
export interface GuestTimes {
  readonly name: string;
  readonly times: ReadonlyMap<string, readonly number[]>;
}

const works: readonly GuestWork[] = [
  { name: "`run`", before: "", body: "cd /guest/brief; $R run timed", after: "" },
  {
    name: "`create`, `start`, `delete --force`",
    before: "",
    body: "cd /guest/lasting; $R create timed && $R start timed && $R delete --force timed",
    after: "",
  },
  {
    name: "`exec`",
    before: "cd /guest/lasting; $R run --detach timed-$N",
    body: "$R exec timed-$N true",
    after: "$R delete --force timed-$N",
  },
];

/** Words of bash that take all runtimes through a work in turns; each line of the output is a name and microseconds. */
function script({ before, body, after }: GuestWork, rounds: number): string {
  const each = (text: string) => runtimes.map(([name, command]) => `N=${name} R="${command}"; ${text}`).join("\n");
  const quiet = (text: string) => text === "" ? "" : `{ ${text}; } >/dev/null 2>&1 </dev/null || exit 1`;
  return `${each(quiet(before))}
for n in $(seq 0 ${rounds}); do
${each(`t=$EPOCHREALTIME; ${quiet(body)}; u=$EPOCHREALTIME; [ $n = 0 ] || echo $N $(( \${u/./} - \${t/./} ))`)}
done
${each(quiet(after))}
`;
}

/** Measures all works in so many rounds, after one that does not count; a round takes about 30 s. */
export async function compareTimes(machine: Machine, rounds: number): Promise<GuestTimes[]> {
  await writeGuestBundle(machine, "/guest/brief", "true");
  await writeGuestBundle(machine, "/guest/lasting", "exec sleep 1000");
  const all: GuestTimes[] = [];
  for (const work of works) {
    const lines = (await machine.succeed(script(work, rounds), { seconds: 120 + rounds * 60 })).trim().split("\n");
    const times = new Map<string, number[]>(runtimes.map(([name]) => [name, []]));
    for (const line of lines) {
      const [name, microseconds] = line.split(" ");
      times.get(name!)!.push(Number(microseconds) / 1000);
    }
    all.push({ name: work.name, times });
  }
  return all;
}

if (import.meta.main) {
  await using machine = await bootMachine();
  const all = await compareTimes(machine, Number(Deno.args[0] ?? 5));
  console.log(JSON.stringify(all.map(({ name, times }) => ({ name, ...Object.fromEntries(times) })), null, 2));
}
