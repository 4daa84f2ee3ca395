/**
 * Times of a stock containerd as times of the stores.
 *
 * @module
 */
import type { Timestamp } from "../../api/gen/google/protobuf/timestamp.ts";
import { msOfTime } from "../../api/timestamp.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";

/** Milliseconds since 1970; now where there is no time. */
export function readTime(time: Timestamp | undefined): number {
  return time === undefined ? wallTimeMs() : msOfTime(time);
}
