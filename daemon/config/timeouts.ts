/**
 * Limits of time that the configuration can change, by containerd's names.
 *
 * @module
 */

/** Name → default, as Go writes durations. `0s` waits for ever. */
export const timeoutDefaults = {
  "io.containerd.timeout.bolt.open": "0s",
  "io.containerd.timeout.cri.defercleanup": "1m0s",
  "io.containerd.timeout.metrics.shimstats": "2s",
  "io.containerd.timeout.shim.cleanup": "5s",
  "io.containerd.timeout.shim.load": "5s",
  "io.containerd.timeout.shim.shutdown": "3s",
  "io.containerd.timeout.task.state": "2s",
} as const;

/** A name of {@link timeoutDefaults}. */
export type TimeoutName = keyof typeof timeoutDefaults;
