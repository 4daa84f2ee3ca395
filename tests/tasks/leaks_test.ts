/**
 * What is installed holds no more descriptors and threads after much work than after a little: the daemon and the shim, over
 * execs, containers, blobs, pulls, adopted containers. `BARGE_LEAKS_ALL=1` does five times as much.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { execute, succeed, systemTest } from "../command.ts";
import { startRegistry } from "../registry.ts";
import { killShim, left, programs, run, runtime, shimsOf, until, withOwnShim } from "./handover_fixture.ts";
import { openFilesOf } from "../open_files.ts";
import { image, type TaskBench } from "./task_fixture.ts";
import { patientEnd } from "../patience.ts";

const times = Deno.env.get("BARGE_LEAKS_ALL") === "1" ? 5 : 1;

/** How often each kind of work is done between the two looks. */
const amount = { execs: 200 * times, containers: 100 * times, blobs: 100 * times, pulls: 10 * times };

/** So many clients work at once. */
const atOnce = 4;

/** At any moment a timer, a connection or a thread of the pool may be new; a leak is one for each piece of work. */
const slack = 6;

/** Does the work so often, with some clients at once. */
async function repeat(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const client = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, client));
}

/** What daemon and shim have open. */
type Holdings = Readonly<Record<"daemon" | "shim", readonly string[]>>;

function holdings(bench: TaskBench, shim: number): Holdings {
  return { daemon: openFilesOf(bench.daemon.pid), shim: openFilesOf(shim) };
}

/** Links, with the numbers of pipes and sockets left out, and how many there are of each. */
function kinds(links: readonly string[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const link of links) {
    const kind = link.replace(/\d+/g, "N");
    result[kind] = (result[kind] ?? 0) + 1;
  }
  return result;
}

/** Throws where one has more open, and says what of: a leak has a name. */
function assertFlat(what: string, before: Holdings, after: Holdings): void {
  for (const who of ["daemon", "shim"] as const) {
    const [first, last] = [before[who], after[who]];
    assert(
      last.length <= first.length + slack,
      `${who}: ${first.length} descriptors before ${what}, ${last.length} afterwards: ` +
        JSON.stringify({ before: kinds(first), after: kinds(last) }),
    );
  }
}

/** Waits until the look is as flat as it is to be: what the last client left is closed a little later. */
async function settled(bench: TaskBench, shim: number, before: Holdings): Promise<Holdings> {
  let now = holdings(bench, shim);
  for (const end = patientEnd(10_000); performance.now() < end; now = holdings(bench, shim)) {
    if (now.daemon.length <= before.daemon.length + slack && now.shim.length <= before.shim.length + slack) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return now;
}

systemTest(
  "the installed daemon and shim hold no more after much work than after a little",
  [...programs, "docker-registry"],
  () =>
    withOwnShim(async (bench) => {
      await using registry = await startRegistry();
      const remote = `${registry.host}/busy:1`;
      const copy = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"];
      await succeed([...copy, `docker-archive:${bench.archive}`, `docker://${remote}`]);
      await run(bench, "base", "sleep", "100000");
      const works: Record<keyof typeof amount, (index: number) => Promise<unknown>> = {
        execs: (index) => bench.ask("tasks", "exec", "--exec-id", `x${index}`, "base", "true"),
        containers: (index) => bench.ask("run", "--rm", ...runtime, image, `c${index}`, "true"),
        blobs: async (index) => {
          const text = `blob ${index} of ${performance.now()}`;
          const digest = `sha256:${createHash("sha256").update(text).digest("hex")}`;
          const words = ["content", "ingest", "--expected-digest", digest, `blob-${index}`];
          const { code, stderr } = await bench.ctrWith({ stdin: text }, ...words);
          assert.equal(code, 0, stderr);
        },
        pulls: async (index) => {
          await bench.ask("images", "pull", "--plain-http", remote);
          if (index % 2 === 1) await bench.ctr("images", "rm", "--sync", remote);
        },
      };
      const [shim] = shimsOf(bench);
      assert(shim !== undefined);
      for (const [what, work] of Object.entries(works)) {
        await repeat(2 * atOnce, (index) => work(1_000_000 + index));
        const before = holdings(bench, shim);
        const count = amount[what as keyof typeof amount];
        await repeat(count, work);
        const after = await settled(bench, shim, before);
        console.log(
          `${count} ${what}: daemon ${before.daemon.length} → ${after.daemon.length}, ` +
            `shim ${before.shim.length} → ${after.shim.length} descriptors`,
        );
        assertFlat(`${count} ${what}`, before, after);
      }
    }),
);

systemTest(
  "an adopted container's streams are closed when it is removed",
  programs,
  () =>
    withOwnShim(async (bench) => {
      /** Containers that print to a client's FIFOs, whose shim dies. */
      const round = async (name: string) => {
        const ids = Array.from({ length: 5 }, (_, index) => `${name}${index}`);
        for (const id of ids) await run(bench, id, "sleep", "100000");
        for (const id of ids) await left(bench, id);
        await killShim(bench);
        await until("the containers are found again", async () => {
          const { stdout } = await execute([
            "ctr",
            "--address",
            bench.daemon.address,
            "-n",
            bench.namespace,
            "tasks",
            "ls",
          ]);
          return ids.every((id) => new RegExp(`^${id} .*RUNNING`, "m").test(stdout));
        });
        for (const id of ids) {
          await bench.ask("tasks", "rm", "-f", id);
          await bench.ask("containers", "rm", id);
        }
      };
      await run(bench, "base", "sleep", "100000");
      await left(bench, "base");
      await round("warm");
      const before = openFilesOf(bench.daemon.pid);
      for (let count = 0; count < 3 * times; count++) await round(`r${count}-`);
      let after = openFilesOf(bench.daemon.pid);
      for (const end = patientEnd(10_000); after.length > before.length + slack && performance.now() < end;) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        after = openFilesOf(bench.daemon.pid);
      }
      assertFlat("adoptions", { daemon: before, shim: [] }, { daemon: after, shim: [] });
    }),
);
