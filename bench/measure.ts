/**
 * Measuring two sides of one row, in turns.
 *
 * @module
 */

/** What the two sides of a row took. */
export interface Measured {
  kind: "measured";
  work: string;
  /** How the peer is called in the table. */
  peer: string;
  unit: "µs" | "ms" | "MB";
  bargeTimes: number[];
  peerTimes: number[];
  /** The largest good ratio of barge's median to the peer's. */
  ratioMax: number;
  /** What barge may take at most, in the unit, where that does not follow from the peer. */
  bargeMax?: number;
}

/** A row without numbers, and why. */
export interface Skipped {
  kind: "skipped";
  work: string;
  reason: string;
}

/** What is told below the table. */
export interface Note {
  kind: "note";
  text: string;
}

/** A row of the table. */
export type Row = Measured | Skipped | Note;

/** How much is measured. */
export interface Amount {
  /** `--quick`: fewer rounds, a smaller image. */
  quick: boolean;
}

/** The middle of the values; the mean of the two middle ones for an even count. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half];
  if (upper === undefined) throw new RangeError("no values have no median");
  return sorted.length % 2 === 1 ? upper : (sorted[half - 1]! + upper) / 2;
}

/** Takes turns, so that what else the machine does meets all sides alike; the first turn of each is not counted. */
export async function inTurns(
  rounds: number,
  sides: readonly (() => Promise<number | number[]>)[],
): Promise<number[][]> {
  const times: number[][] = sides.map(() => []);
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      // Who comes first changes, since the first one may pay for what the second one finds warm.
      const side = (turn + round) % sides.length;
      const taken = await sides[side]!();
      if (round > 0) times[side]!.push(...[taken].flat());
    }
  }
  return times;
}

/** Runs a program that must succeed; gives its time in milliseconds, process start and end included. */
export async function timeOf(command: readonly string[], env: Record<string, string> = {}): Promise<number> {
  const [program, ...args] = command;
  const begin = performance.now();
  const child = new Deno.Command(program!, { args, env, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
  const { code } = await child.status;
  const timeMs = performance.now() - begin;
  if (code !== 0) {
    throw new Error(`${command.join(" ")} ended with ${code}: ${await new Response(child.stderr).text()}`);
  }
  // Not read: what the program started may hold it open.
  await child.stderr.cancel();
  return timeMs;
}

/** Runs a program that must succeed; gives what it wrote. */
export async function outputOf(command: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const [program, ...args] = command;
  const { code, stdout, stderr } = await new Deno.Command(program!, { args, env, stdin: "null" }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
