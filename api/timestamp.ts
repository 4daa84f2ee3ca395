/**
 * Times on the wire, and in text. Ours are milliseconds since 1970 with microseconds behind the point, which is as fine
 * as a number can tell today's: what is finer is cut off.
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

/** A time of the stores (milliseconds since 1970) for the wire, in whole microseconds. */
export function wireTime(ms: number): WireTime {
  const [seconds, us] = split(ms);
  return { seconds, nanos: us * 1000 };
}

/** Milliseconds since 1970 of a time from the wire. */
export function msOfTime({ seconds, nanos }: WireTime): number {
  return seconds * 1000 + Math.floor(nanos / 1000) / 1000;
}

/** A time (milliseconds since 1970) as RFC 3339 text in UTC, in whole microseconds. */
export function timeText(ms: number): string {
  const [seconds, us] = split(ms);
  return new Date(seconds * 1000).toISOString().replace(".000Z", `.${String(us).padStart(6, "0")}Z`);
}

/** Milliseconds since 1970 of a time as RFC 3339 text; NaN where it is none. */
export function msOfTimeText(text: string): number {
  const [, digits = ""] = /\.\d{3}(\d{1,3})/.exec(text) ?? [];
  return Date.parse(text) + Number(digits.padEnd(3, "0")) / 1000;
}

/** Seconds and, of the rest, microseconds. Numbers are not decimal: the nearest microsecond is the one that is meant. */
function split(ms: number): [seconds: number, us: number] {
  const seconds = Math.floor(ms / 1000);
  const us = Math.round((ms - seconds * 1000) * 1000);
  return us === 1e6 ? [seconds + 1, 0] : [seconds, us];
}
