/**
 * The lanes that test files run in, as data: what shares which of the machine's means decides what may run at once.
 *
 * @module
 */
import { havePeer } from "../../tests/peers.ts";

/** Files that run in the same way. */
export interface Lane {
  /** What they are, for the heading. */
  readonly name: string;
  /** What their paths look like. */
  readonly files: RegExp;
  /** How many of them run at once. */
  readonly width: number;
  /**
   * Whether the lane starts with the first one and runs beside all others, instead of in its turn. When those are done its
   * files are asked to come to their ends: they are to take no time of their own.
   */
  readonly isBeside: boolean;
  /** Whether the output of a file appears while it runs; otherwise what failed is shown in one piece. */
  readonly isShown: boolean;
  /** A file that takes longer is killed. */
  readonly fileMinutesMax: number;
  /** All files together: what is left of it is the limit of the next one, or a minute, in which it can say so. */
  readonly minutesMax?: number;
  /** Words in front of the command that runs a file. */
  readonly before: readonly string[];
}

/**
 * Takes only what all others leave of the processors, and ends with the process that has started it, however that ends:
 * at an interrupt no virtual machine is left.
 */
const inTheBackground: readonly string[] = havePeer("util-linux")
  ? ["nice", "-n", "19", "setpriv", "--pdeathsig", "KILL", "--"]
  : ["nice", "-n", "19"];

/** All lanes, in their turn. A file belongs to the first that its path fits. */
export const lanes: readonly Lane[] = [
  {
    name: "unit tests",
    files: /^(?!tests\/)/,
    width: Math.min(navigator.hardwareConcurrency, 4),
    isBeside: false,
    isShown: false,
    fileMinutesMax: 8,
    before: [],
  },
  {
    // An emulated machine takes minutes of one and a half processors, which the tests with peers do not use.
    name: "tests in virtual machines",
    files: /^tests\/vm\//,
    width: 1,
    isBeside: true,
    isShown: false,
    fileMinutesMax: 17,
    minutesMax: 17,
    before: inTheBackground,
  },
  {
    // They share the machine's cgroups, mounts and clocks.
    name: "tests with peers",
    files: /^/,
    width: 1,
    isBeside: false,
    isShown: true,
    fileMinutesMax: 8,
    before: [],
  },
];

/** A lane and the files in it, in the order in which they were given. */
export interface LaneRun {
  readonly lane: Lane;
  readonly paths: readonly string[];
}

/** Puts files into their lanes; a lane without files is left out. */
export function divide(paths: readonly string[], all: readonly Lane[] = lanes): LaneRun[] {
  const laneOf = (path: string) => all.find(({ files }) => files.test(path));
  return all.map((lane) => ({ lane, paths: paths.filter((path) => laneOf(path) === lane) }))
    .filter((run) => run.paths.length > 0);
}
