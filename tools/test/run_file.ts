/**
 * Runs the tests of one file in a process of its own: a crash in native code, a hang, or state of the process that a
 * test forgot then concerns that file only.
 *
 * @module
 */
import { countRun, type Counts } from "./junit.ts";

/** No file's tests may take longer. */
const minutesMax = 8;

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

/** Runs one file; types have been checked before. `show` streams its output while it runs. */
export async function runFile(root: URL, path: string, show: boolean): Promise<FileResult> {
  const report = await Deno.makeTempFile({ prefix: "barge-junit-" });
  const start = performance.now();
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", "--no-check", `--junit-path=${report}`, path],
      cwd: root,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let late = "";
    const timer = setTimeout(() => {
      late = `\n${path}: killed after ${minutesMax} minutes\n`;
      child.kill("SIGKILL");
    }, minutesMax * 60_000);
    const [output, errors, { success }] = await Promise.all([
      textOf(child.stdout, show),
      textOf(child.stderr, show),
      child.status,
    ]);
    clearTimeout(timer);
    if (show && late !== "") console.log(late);
    return {
      path,
      counts: countRun(await Deno.readTextFile(report), success),
      output: output + errors + late,
      seconds: (performance.now() - start) / 1000,
    };
  } finally {
    await Deno.remove(report);
  }
}
