/**
 * The registry client's limits: nothing waits or grows without one.
 *
 * @module
 */

/** Bounds on time, tries and sizes of requests to a registry. */
export interface RegistryLimits {
  /** Longest wait for the next byte (or the answer's head), in milliseconds. */
  readonly stallMs: number;
  /** Tries of one request over all causes that are worth another one. */
  readonly triesMax: number;
  /** Tries again after an answer of the 5xx kind: a broken server is not helped by more. */
  readonly serverErrorRetriesMax: number;
  /** First pause between tries in milliseconds; it doubles each time. */
  readonly retryDelayMs: number;
  /** Longest `Retry-After` that is waited for, in milliseconds; a registry that wants more is reported. */
  readonly retryAfterMsMax: number;
  /** Cuts of one transfer in a row that are mended by a Range request without a MiB of progress between them. */
  readonly resumesMax: number;
  /** Largest manifest or index in bytes: the distribution specification's advice. */
  readonly manifestBytesMax: number;
  /** Redirects that one request follows. */
  readonly redirectsMax: number;
}

/** Limits close to those of containerd; a stalled line is given a minute. */
export const defaultLimits: RegistryLimits = {
  stallMs: 60_000,
  triesMax: 5,
  serverErrorRetriesMax: 2,
  retryDelayMs: 500,
  retryAfterMsMax: 30_000,
  resumesMax: 5,
  manifestBytesMax: 4 * 1024 * 1024,
  redirectsMax: 10,
};
