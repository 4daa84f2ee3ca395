/**
 * Performs a case on a runtime.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute, type Finished } from "../command.ts";
import type { Scratch } from "../scratch.ts";
import type { Case, Expected, FullSpec, Place, RuntimeName, Step } from "./case.ts";
import { makeRoot } from "./root.ts";
import { patientEnd } from "../patience.ts";

/** A runtime under test. */
export interface RuntimeUnderTest {
  readonly name: RuntimeName;
  /** Words of its command line. */
  readonly command: readonly string[];
}

/** What the suite's cases share. */
export interface Suite {
  readonly scratch: Scratch;
  readonly runtime: RuntimeUnderTest;
  /** The spec that cases change. */
  readonly spec: FullSpec;
}

/** How long anything that is waited for may take on a machine that does other things as well. */
const waitMsMax = 20_000;
const lookMs = 10;

/** A step that makes a call. */
type Call = Extract<Step, { call: readonly string[] }>;

/** Performs the case, removes what it made, and looks that it left no state. Throws where it fails. */
export async function perform(suite: Suite, one: Case, number: number): Promise<void> {
  const place = await makePlace(suite, one, number);
  try {
    for (const [index, step] of one.steps.entries()) {
      try {
        await performStep(suite, place, step);
      } catch (cause) {
        const what = "call" in step ? step.call.join(" ") : JSON.stringify(step);
        throw new Error(`step ${index + 1} (${what}): ${cause instanceof Error ? cause.message : cause}`, { cause });
      }
    }
    assert(!exists(`${place.states}/${place.id}`), "its state is left");
  } finally {
    if (exists(`${place.states}/${place.id}`)) await call(suite, place, { call: ["delete", "--force", "ID"] });
    await Deno.remove(place.directory, { recursive: true });
  }
}

/** Makes the directory of a case: a root file system, and the spec as the case wants it. */
export async function makePlace({ scratch, runtime, spec }: Suite, one: Case, number: number): Promise<Place> {
  const directory = `${scratch.path}/${runtime.name}-${number}`;
  const place: Place = {
    directory,
    id: scratch.id(`${runtime.name}${number}`),
    rootfs: `${directory}/rootfs`,
    states: `${directory}/states`,
  };
  makeRoot(place.rootfs, `${scratch.path}/busybox`);
  Deno.mkdirSync(place.states, { mode: 0o700 });
  const own = structuredClone(spec);
  own.linux.cgroupsPath = `/${place.id}`;
  await one.prepare?.(place);
  one.change?.(own, place);
  const config = one.config?.(own, place) ?? JSON.stringify(own);
  if (typeof config === "string") await Deno.writeTextFile(`${directory}/config.json`, config);
  else await Deno.writeFile(`${directory}/config.json`, config);
  return place;
}

async function performStep(suite: Suite, place: Place, step: Step): Promise<void> {
  if ("host" in step) return await step.host(place);
  if ("until" in step) return await reaches(suite, place, step.until);
  if ("runs" in step) return await runs(suite, place, step.runs);
  if ("file" in step) return await waitFor(() => check(readText(`${place.directory}/${step.file}`), step.holds, place));
  if ("cgroup" in step) {
    for (const [file, expected] of Object.entries(step.cgroup)) {
      const [controller, name] = file.split("/");
      check(Deno.readTextFileSync(`/sys/fs/cgroup/${controller}/${place.id}/${name}`), expected, place, file);
    }
    return;
  }
  const { code, stdout, stderr } = await call(suite, place, step);
  assert.equal(code, step.code ?? 0, `exit code ${code}: ${stdout}${stderr}`);
  if (step.err !== undefined) assert.match(stderr, step.err);
  if (step.out !== undefined) check(stdout, step.out, place, `standard output (standard error: ${stderr})`);
}

/** Whether a container goes on after the call, and has inherited the streams. */
function leavesContainer([command, ...words]: readonly string[]): boolean {
  return command === "create" || words.some((word) => word === "-d" || word === "--detach");
}

/** Commands that read a bundle. */
const bundled = new Set(["create", "run"]);

/** Calls the runtime; what a container has inherited are files, `DIR/out` and `DIR/err`. */
async function call({ runtime }: Suite, place: Place, step: Call): Promise<Finished> {
  const fill = (word: string) => word.replaceAll("DIR", place.directory).replace(/\bID\b/g, place.id);
  const [command = "", ...words] = step.call.map(fill);
  const isNamed = step.noBundle === true || words.includes("--bundle");
  const bundle = bundled.has(command) && !isNamed ? ["--bundle", place.directory] : [];
  const line = [...runtime.command, "--root", place.states, command, ...bundle, ...words];
  const around = (step.around ?? []).map(fill);
  const options = {
    timeoutMs: 3 * waitMsMax,
    ...step.env === undefined ? {} : { env: { ...step.env } },
    ...step.cwd === undefined ? {} : { cwd: fill(step.cwd) },
    ...step.stdin === undefined ? {} : { stdin: step.stdin },
  };
  if (!leavesContainer(step.call)) return await execute([...around, ...line], options);
  const files = [`${place.directory}/out`, `${place.directory}/err`];
  const script = 'out=$1 err=$2; shift 2; exec "$@" </dev/null >"$out" 2>"$err"';
  const { code } = await execute(["sh", "-c", script, "sh", ...files, ...around, ...line], options);
  const [stdout = "", stderr = ""] = files.map(readText);
  return { code, stdout, stderr };
}

async function reaches(suite: Suite, place: Place, wanted: string): Promise<void> {
  await waitFor(async () => {
    const { code, stdout } = await call(suite, place, { call: ["state", "ID"] });
    assert.equal(code === 0 ? JSON.parse(stdout).status : "gone", wanted);
  });
}

async function runs(suite: Suite, place: Place, command: string): Promise<void> {
  await waitFor(async () => {
    const { stdout } = await call(suite, place, { call: ["state", "ID"] });
    assert.match(readText(`/proc/${JSON.parse(stdout).pid}/cmdline`), new RegExp(`^${command}\\0`));
  });
}

/** Tries until it does not throw. Throws what it threw last when the time is over. */
async function waitFor(attempt: () => void | Promise<void>): Promise<void> {
  for (const end = patientEnd(waitMsMax);;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

function check(text: string, expected: Expected, place: Place, what = "text"): void {
  if (typeof expected === "function") expected(text, place);
  else if (typeof expected === "string") assert.equal(text.trim(), expected, what);
  else assert(expected.test(text), `${what} is ${JSON.stringify(text)}, which ${expected} does not fit`);
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
