/**
 * One shim for very many containers and execs: what it holds does not grow.
 *
 * The short form is a part of every run; `BARGE_SOAK=long` has 1,000 containers and 3,000 execs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sourceRoot, systemTest } from "../command.ts";
import { makeScratch } from "../scratch.ts";
import { BareShim, eventually } from "./bare_shim.ts";

const isLong = Deno.env.get("BARGE_SOAK") === "long";
const amount = isLong ? { containers: 1000, execs: 3000 } : { containers: 100, execs: 200 };
/** The code that is compiled and what it learns of types come first. */
const warmUp = { containers: 60, execs: 120 };
/** A container or exec may keep less than 4 KiB on the average, which is a tenth of what one needs while it runs. */
const growthMax = 4096 * (amount.containers + amount.execs);
/** As many as one client has at once. */
const atOnce = 20;

interface Holdings {
  readonly heapBytes: number;
  readonly privateKb: number;
  readonly threads: number;
  readonly descriptors: number;
}

async function holdings(shim: BareShim): Promise<Holdings> {
  const file = `${shim.scratch.path}/memory`;
  await Deno.remove(file).catch(() => {});
  shim.signal("SIGUSR2");
  const read = () => Deno.readTextFile(file).catch(() => "");
  await eventually(() => "the shim does not tell", async () => await read() !== "");
  const { heapUsed, external } = JSON.parse(await read());
  const rollup = Deno.readTextFileSync(`/proc/${shim.pid}/smaps_rollup`);
  return {
    heapBytes: heapUsed + external,
    privateKb: Number(/^Private_Dirty:\s*(\d+)/m.exec(rollup)![1]),
    threads: [...Deno.readDirSync(`/proc/${shim.pid}/task`)].length,
    descriptors: [...shim.descriptors().values()].reduce((sum, count) => sum + count, 0),
  };
}

/** Runs containers and execs, half of them one after another and half of them many at once. */
async function work(shim: BareShim, { containers, execs }: typeof amount): Promise<void> {
  let count = 0;
  const runOne = async () => {
    const id = `c${count++}`;
    await shim.run(id, { args: ["true"], stdout: "/dev/null" });
    assert.equal(await shim.wait(id), 0);
    await shim.delete(id);
  };
  const execOne = async () => {
    const id = `e${count++}`;
    await shim.exec("base", id, ["true"], { stdout: "/dev/null" });
    assert.equal(await shim.wait("base", id), 0);
    await shim.delete("base", id);
  };
  for (const [total, one] of [[containers, runOne], [execs, execOne]] as const) {
    let done = 0;
    const work = async (until: number) => {
      for (; done < until;) {
        done++;
        await one();
      }
    };
    await work(total / 2);
    await Promise.all(Array.from({ length: atOnce }, () => work(total)));
  }
}

systemTest(
  `a shim holds no more after ${amount.containers} containers and ${amount.execs} execs`,
  ["busybox"],
  async () => {
    await using scratch = await makeScratch();
    const flags = ["--allow-all", "--quiet", "--no-check", "--v8-flags=--expose-gc,--max-semi-space-size=2"];
    const main = ["--config", `${sourceRoot}/deno.json`, `${sourceRoot}/tests/shim/soaked_main.ts`, "shim"];
    await using shim = await BareShim.start(scratch, {
      command: [Deno.execPath(), "run", ...flags, ...main],
      env: { BARGE_MEMORY_FILE: `${scratch.path}/memory` },
    });
    await shim.run("base", { args: ["sleep", "100000"] });
    await work(shim, warmUp);
    const before = await holdings(shim);
    await work(shim, amount);
    const after = await holdings(shim);
    console.log(JSON.stringify({ before, after }));
    assert(after.heapBytes - before.heapBytes < growthMax, `heap grew from ${before.heapBytes} to ${after.heapBytes}`);
    // A descriptor may be closed, and a thread of the pool be made, at any moment.
    assert(after.descriptors <= before.descriptors + 3, `descriptors: ${before.descriptors}, ${after.descriptors}`);
    assert(after.threads <= before.threads + 4, `threads: ${before.threads}, ${after.threads}`);
    await shim.remove("base");
    await eventually(() => "events are missing", () =>
      shim.events.some(({ what, containerId }) => {
        return what === "delete" && containerId === "base";
      }));
    const exits = shim.events.filter(({ what }) => what === "exit").length;
    const each = ({ containers, execs }: typeof amount) => containers + execs;
    assert.equal(exits, each(warmUp) + each(amount) + 1);
  },
);
