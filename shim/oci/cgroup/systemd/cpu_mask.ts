/**
 * Lists of processors and memory nodes as masks.
 *
 * @module
 */
import { Failure } from "../../../../api/errors.ts";

/** CONFIG_NR_CPUS is at most 8192 on every architecture. */
const numberMax = 8191;

/** `0-2,5` as a bit mask, the lowest byte first. Throws `InvalidArgument`. */
export function cpuMask(list: string): Uint8Array {
  const mask: number[] = [];
  for (const range of list.split(",").map((text) => text.trim()).filter((text) => text !== "")) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(range);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first > last || last > numberMax) {
      throw new Failure("InvalidArgument", `cannot use ${JSON.stringify(list)} as a list: want one such as "0-2,5"`);
    }
    for (let index = first; index <= last; index++) {
      while (mask.length <= index >> 3) mask.push(0);
      mask[index >> 3]! |= 1 << (index & 7);
    }
  }
  if (mask.length === 0) throw new Failure("InvalidArgument", `empty value: ${JSON.stringify(list)} names no number`);
  return Uint8Array.from(mask);
}
