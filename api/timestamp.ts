/**
 * Times on the wire.
 *
 * @module
 */

/** Seconds and nanoseconds since 1970, as `google.protobuf.Timestamp`. */
export interface WireTime {
  readonly seconds: number;
  readonly nanos: number;
}

/** Go's zero time, the year 1: stands for "not yet" in containerd's answers. */
export const zeroTime: WireTime = { seconds: -62135596800, nanos: 0 };

/** A time of the stores (milliseconds since 1970) for the wire. */
export function wireTime(ms: number): WireTime {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** Milliseconds since 1970 of a time from the wire. */
export function msOfTime({ seconds, nanos }: WireTime): number {
  return seconds * 1000 + nanos / 1e6;
}
