/**
 * How long a shim may take for each of its methods, in milliseconds.
 *
 * @module
 */
import type { ShimClient } from "./shim_channel.ts";

/**
 * Most answers come within milliseconds; the limits are for shims that hang. What starts or ends processes may wait for
 * hooks, slow disks and the end of streams (10 s after an exit). Wait has none: it follows its client.
 */
export const shimDeadlinesMs: Readonly<Record<keyof ShimClient, number | undefined>> = {
  create: 120_000,
  start: 120_000,
  exec: 30_000,
  delete: 60_000,
  kill: 30_000,
  pause: 30_000,
  resume: 30_000,
  update: 30_000,
  checkpoint: 600_000,
  pids: 10_000,
  state: 2_000,
  stats: 2_000,
  connect: 5_000,
  resizePty: 10_000,
  closeIO: 10_000,
  shutdown: 3_000,
  wait: undefined,
};

/** Those that the configuration may change. */
export interface ConfiguredDeadlines {
  readonly stateMs: number;
  readonly statsMs: number;
  readonly loadMs: number;
  readonly cleanupMs: number;
  readonly shutdownMs: number;
}
