/**
 * Daemons with barge's own shim, for tests of what becomes of containers when it dies.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect, dialUnix, type GrpcChannel } from "../../api/grpc/client.ts";
import { namespaceKey } from "../../api/rpc/context.ts";
import { Running } from "../command.ts";
import type { DaemonOptions } from "../daemon/daemon_fixture.ts";
import { linkShims } from "../installed.ts";
import { openFilesOf } from "../open_files.ts";
import { image, startTaskBench, type TaskBench } from "./task_fixture.ts";
import { patientEnd } from "../patience.ts";

/** Programs that the tests need. */
export const programs = ["busybox", "tar", "ctr", "skopeo"];

/** Words of `ctr run` that name barge's own shim. */
export const runtime = ["--runtime", "io.containerd.ts.v2"];

/** A bench whose daemon finds the installed shim. */
export async function withOwnShim(
  body: (bench: TaskBench) => Promise<void>,
  options: DaemonOptions = {},
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "barge-shim-" });
  try {
    await linkShims(directory);
    const env = { ...options.env, PATH: `${directory}:${Deno.env.get("PATH")}` };
    await using bench = await startTaskBench({ ...options, env });
    await body(bench);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Processes of shims that serve. */
export function shimsOf(bench: TaskBench): number[] {
  return bench.servers();
}

/** Directory of a task. */
export function bundleOf(bench: TaskBench, id: string): string {
  return `${bench.daemon.state}/io.containerd.runtime.v2.task/${bench.namespace}/${id}`;
}

/** Asks again until it is so. Throws after 30 s. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = patientEnd(30_000);;) {
    if (await isSo()) return;
    assert(performance.now() < end, `after 30 s it is not so that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

interface Left {
  readonly stdio: { readonly stdout: string };
  readonly process?: unknown;
}

/** What a bundle says of init or an exec; undefined where it does not yet. */
function recordOf(bench: TaskBench, id: string, execId?: string): Left | undefined {
  try {
    const record = JSON.parse(Deno.readTextFileSync(`${bundleOf(bench, id)}/task.json`));
    if (execId === undefined) return { stdio: record.stdio, process: record.init };
    return record.execs.find((exec: { execId: string }) => exec.execId === execId);
  } catch {
    return undefined;
  }
}

/** Waits until a shim has left what its successor needs of the container, or of the exec. */
export async function left(bench: TaskBench, id: string, execId?: string): Promise<void> {
  await until(`the bundle of ${id} tells of its processes`, () => recordOf(bench, id, execId)?.process !== undefined);
  const { stdout } = recordOf(bench, id, execId)!.stdio;
  if (stdout !== "") await until(`the daemon holds ${stdout}`, () => openFilesOf(bench.daemon.pid).includes(stdout));
}

/** Kills the one shim that there is, and waits until it is gone and the daemon has noticed. Gives its process id. */
export async function killShim(bench: TaskBench): Promise<number> {
  const [shim, ...others] = shimsOf(bench);
  assert(shim !== undefined && others.length === 0, `want one shim, got ${[shim, ...others]}`);
  Deno.kill(shim, "SIGKILL");
  await until("the killed shim is gone", () => !shimsOf(bench).includes(shim));
  return shim;
}

/** Waits until the list of tasks is so: one whose next shim takes longer than 2 s is unknown meanwhile. */
export async function listed(bench: TaskBench, wanted: RegExp): Promise<void> {
  await until(`tasks are listed as ${wanted}`, async () => wanted.test(await bench.ask("tasks", "ls")));
}

/** Collects what `ctr events` prints. */
export function listen(bench: TaskBench): Running {
  return new Running(["ctr", "--address", bench.daemon.address, "events"]);
}

/** How often the text matches. */
export function count(text: string, pattern: string): number {
  return [...text.matchAll(new RegExp(pattern, "g"))].length;
}

/** Ends the shims that wait for further containers. */
export async function endShims(bench: TaskBench): Promise<void> {
  for (const pid of shimsOf(bench)) Deno.kill(pid, "SIGTERM");
  await until("the shims have ended", () => shimsOf(bench).length === 0);
}

/** Runs a container in barge's own shim, and does not wait for its end. */
export function run(bench: TaskBench, id: string, ...command: string[]): Promise<string> {
  return bench.ask("run", "-d", ...runtime, image, id, ...command);
}

/** Calls of the daemon's API in the bench's namespace. */
export function channelOf(bench: TaskBench): GrpcChannel {
  return connect({ open: dialUnix(bench.daemon.address), metadata: { [namespaceKey]: bench.namespace } });
}

/** Throws where something is left once the shims have ended. */
export async function nothingLeft(bench: TaskBench): Promise<void> {
  await endShims(bench);
  await bench.assertNothingLeft();
}
