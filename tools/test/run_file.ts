/**
 * Runs the tests of one file in a process of its own: a crash in native code, a hang, or state of the process that a
 * test forgot then concerns that file only.
 *
 * @module
 */
import { slowness } from "../../tests/patience.ts";
import { countRun, type Counts } from "./junit.ts";

/** How a file's tests went. */
export interface FileResult {
  readonly path: string;
  readonly counts: Counts;
  /** What the run printed. */
  readonly output: string;
  readonly seconds: number;
}

/** Collects a stream's text; with `show` it appears on standard output at once. */
async function textOf(stream: ReadableStream<Uint8Array>, show: boolean): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (show) await Deno.stdout.write(new TextEncoder().encode(chunk));
  }
  return text;
}

/** How a file is run. */
export interface FileRunOptions {
  /** Words in front of the command. */
  readonly before: readonly string[];
  /** A file that takes longer is killed; time of a machine that is so many times slower counts so many times less. */
  readonly msMax: number;
  /** Whether its output goes to standard output while it runs. */
  readonly show: boolean;
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Asks it to leave out what it has not begun. */
  readonly hurry?: AbortSignal;
}

/** How often the time that a file has had is added up. */
const lookMs = 1000;

/** Calls when a file has had `msMax` of an idle machine's time. Gives the interval to clear. */
function watchTime(msMax: number, late: () => void): ReturnType<typeof setInterval> {
  let [hadMs, last] = [0, performance.now()];
  return setInterval(() => {
    const now = performance.now();
    hadMs += (now - last) / slowness();
    last = now;
    if (hadMs < msMax) return;
    hadMs = -Infinity;
    late();
  }, Math.min(lookMs, msMax));
}

/**
 * Runs one file; types have been checked before. It finds in `BARGE_TEST_ENDS` when it will be killed, in milliseconds
 * since 1970, and in `BARGE_TEST_HURRY` the path of a file that is there as soon as it is to hurry.
 */
export async function runFile(
  root: URL,
  path: string,
  { before, msMax, show, env, hurry }: FileRunOptions,
): Promise<FileResult> {
  const report = await Deno.makeTempFile({ prefix: "barge-junit-" });
  const hurryFile = `${report}-hurry`;
  const askToHurry = () => Deno.writeTextFileSync(hurryFile, "");
  const start = performance.now();
  try {
    if (hurry?.aborted) askToHurry();
    else hurry?.addEventListener("abort", askToHurry);
    const words = [...before, Deno.execPath(), "test", "-A", "--no-check", `--junit-path=${report}`, path];
    const child = new Deno.Command(words[0]!, {
      args: words.slice(1),
      cwd: root,
      env: { ...env, NO_COLOR: "1", BARGE_TEST_ENDS: String(Date.now() + msMax), BARGE_TEST_HURRY: hurryFile },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let late = "";
    const overtime = watchTime(msMax, () => {
      const minutes = (performance.now() - start) / 60_000;
      late = `\n${path}: killed after ${minutes.toFixed(1)} minutes\n`;
      child.kill("SIGKILL");
    });
    const [output, errors, { success }] = await Promise.all([
      textOf(child.stdout, show),
      textOf(child.stderr, show),
      child.status,
    ]);
    clearInterval(overtime);
    if (show && late !== "") console.log(late);
    return {
      path,
      counts: countRun(await Deno.readTextFile(report), success),
      output: output + errors + late,
      seconds: (performance.now() - start) / 1000,
    };
  } finally {
    hurry?.removeEventListener("abort", askToHurry);
    await Deno.remove(report);
    await Deno.remove(hurryFile).catch(() => {}); // It is there only where the run was asked.
  }
}
