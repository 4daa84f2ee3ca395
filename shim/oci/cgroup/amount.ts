/**
 * Numbers of `linux.resources` as the kernel reads them.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/**
 * The whole number in decimal, without an exponent at any size. Throws `InvalidArgument` for what is none; `property` is
 * its name below `linux.resources`.
 */
export function decimal(value: unknown, property: string): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && Number.isInteger(value)) return BigInt(value).toString();
  throw new Failure("InvalidArgument", `cannot use ${property} ${JSON.stringify(value)}: want a whole number`);
}

/** A limit for a file of version 2: -1 is `max`. Throws `InvalidArgument` for other negative numbers. */
export function limitOrMax(value: number, property: string): string {
  if (value === -1) return "max";
  if (value < 0) {
    throw new Failure("InvalidArgument", `cannot use ${property} ${value}: want -1 for no limit, or a positive number`);
  }
  return decimal(value, property);
}

/** Throws `InvalidArgument` where the limit of memory and swap together is below that of memory alone. */
export function checkSwap(limit: number, swap: number): void {
  if (limit > 0 && swap > 0 && swap < limit) {
    throw new Failure(
      "InvalidArgument",
      `cannot use memory.swap ${swap}: it counts memory and swap together; want at least memory.limit (${limit})`,
    );
  }
}
