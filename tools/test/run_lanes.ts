/**
 * Runs the lanes of test files: those that run beside the others from the beginning, the others in their turn.
 *
 * @module
 */
import { type Counts, summary } from "./junit.ts";
import type { LaneRun } from "./lanes.ts";
import type { FileResult, FileRunOptions } from "./run_file.ts";

/** How files are run and where the words go. */
export interface LaneTools {
  /** Runs one file. */
  run(path: string, options: FileRunOptions): Promise<FileResult>;
  /** Takes lines for the user. */
  say(text: string): void;
}

/**
 * Words of several lanes, of which one may be showing a file's output as it comes: what another lane has to say waits
 * until that file has ended, so that no output is cut in two.
 */
class Words {
  #held: string[] = [];
  #isShowing = false;

  constructor(private readonly tools: LaneTools) {}

  say(text: string): void {
    if (this.#isShowing) this.#held.push(text);
    else this.tools.say(text);
  }

  async whileShowing<T>(work: () => Promise<T>): Promise<T> {
    this.#isShowing = true;
    try {
      return await work();
    } finally {
      this.#isShowing = false;
      for (const text of this.#held.splice(0)) this.tools.say(text);
    }
  }
}

/** Runs all lanes to their ends; gives the counts of each file. Throws after all of them where one could not be run. */
export async function runLanes(runs: readonly LaneRun[], tools: LaneTools): Promise<Counts[]> {
  const words = new Words(tools);
  const counts: Counts[] = [];
  // Where nothing else runs there is nobody to wait for.
  const alone = runs.every(({ lane }) => lane.isBeside);
  const othersDone = new AbortController();
  const runLane = async ({ lane, paths }: LaneRun, show: boolean) => {
    const queue = [...paths];
    const begin = performance.now();
    const options = (): FileRunOptions => {
      const rest = begin + (lane.minutesMax ?? Infinity) * 60_000 - performance.now();
      const msMax = Math.min(lane.fileMinutesMax * 60_000, Math.max(rest, 60_000));
      return { before: lane.before, msMax, show, ...(lane.isBeside && !alone ? { hurry: othersDone.signal } : {}) };
    };
    const work = async () => {
      for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
        const file = path;
        const result = await (show ? words.whileShowing(() => tools.run(file, options())) : tools.run(file, options()));
        counts.push(result.counts);
        const line = `${path}: ${summary(result.counts)} (${result.seconds.toFixed(1)} s)`;
        words.say(!show && result.counts.failed > 0 ? `${result.output}\n${line}` : line);
      }
    };
    await Promise.all(Array.from({ length: lane.width }, work));
  };
  const beside = runs.filter(({ lane }) => lane.isBeside).map((run) => {
    words.say(`\n== ${run.lane.name}${alone ? "" : ", beside the others"}`);
    return runLane(run, alone && run.lane.width === 1);
  });
  const inTurn = async () => {
    try {
      for (const run of runs.filter(({ lane }) => !lane.isBeside)) {
        words.say(`\n== ${run.lane.name}`);
        await runLane(run, run.lane.isShown);
      }
    } finally {
      othersDone.abort();
    }
  };
  const ends = await Promise.allSettled([inTurn(), ...beside]);
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return counts;
}
