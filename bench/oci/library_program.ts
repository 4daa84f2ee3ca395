/**
 * Makes containers and further processes in them by the library, and times it: `library_program.ts BUNDLE STATE_ROOT`.
 * A line on standard input is `start COUNT`, `exec COUNT` or `phases COUNT`; the answer is a line with the times in
 * milliseconds, for phases the median of each. Timed is what lies between the order and the command's execve.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { waitForChild } from "../../ffi/process.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { createContainer, type CreateOptions } from "../../shim/oci/create.ts";
import { deleteContainer } from "../../shim/oci/delete.ts";
import { execInContainer } from "../../shim/oci/exec.ts";
import { parseSpec } from "../../shim/oci/spec/parse.ts";
import { startContainer } from "../../shim/oci/start.ts";
import { median } from "../measure.ts";
import { createPhases } from "./create_phases.ts";

const [bundle, stateRoot] = Deno.args;
if (bundle === undefined || stateRoot === undefined) Deno.exit(2);
const spec = parseSpec(Deno.readTextFileSync(`${bundle}/config.json`));
const nothing = openFile("/dev/null", flags("O_RDWR")).number;
const streams = { stdin: nothing, stdout: nothing, stderr: nothing };
const reactor = new Reactor();
const id = `library-${Deno.pid}`;

async function make(phase?: CreateOptions["phase"]) {
  const created = await createContainer(reactor, {
    stateRoot: stateRoot!,
    id,
    spec,
    bundle: bundle!,
    root: { kind: "directory", path: `${bundle}/rootfs` },
    streams,
    start: "fifo",
    dieWithParent: false,
    alone: true,
    phase,
  });
  await startContainer(created.directory, undefined);
  await created.launched.settled(reactor, false);
  return created;
}

async function remove({ launched, directory }: Awaited<ReturnType<typeof make>>): Promise<void> {
  const removed = deleteContainer(directory, { force: true });
  await waitForChild(reactor, launched.child.pidfd);
  await removed;
  launched.close();
}

async function start(): Promise<number> {
  const begin = performance.now();
  const created = await make();
  const timeMs = performance.now() - begin;
  await remove(created);
  return timeMs;
}

async function timesOf(count: number, body: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < count; round++) times.push(await body());
  return times;
}

async function execs(count: number): Promise<number[]> {
  const created = await make();
  const times = await timesOf(count, async () => {
    const begin = performance.now();
    const launched = await execInContainer(reactor, created.directory, {
      process: { ...spec.process!, args: ["true"] },
      streams,
      alone: true,
    });
    const timeMs = performance.now() - begin;
    await waitForChild(reactor, launched.child.pidfd);
    launched.close();
    return timeMs;
  });
  await remove(created);
  return times;
}

async function phases(count: number): Promise<number[]> {
  const times = new Map(createPhases.map((name) => [name, [] as number[]]));
  for (let round = 0; round < count; round++) {
    let last = performance.now();
    const created = await make((name) => {
      const now = performance.now();
      times.get(name)!.push(now - last);
      last = now;
    });
    await remove(created);
  }
  return [...times.values()].map(median);
}

const answers: Readonly<Record<string, (count: number) => Promise<number[]>>> = {
  start: (count) => timesOf(count, start),
  exec: execs,
  phases,
};

for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  for (const line of chunk.trim().split("\n")) {
    const [order, count] = line.split(" ");
    const times = await answers[order!]!(Number(count));
    console.log(times.map((time) => time.toFixed(3)).join(" "));
  }
}
Deno.exit(0);
