/**
 * Values of D-Bus as they are in this program.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/**
 * `y n q i u h d` are numbers, `x t` bigints, `b` a boolean, `s o g` strings, `ay` bytes; arrays, structures and dictionary
 * entries are lists.
 */
export type Value = number | bigint | boolean | string | Uint8Array | Variant | readonly Value[];

/** A value that brings its type along. */
export interface Variant {
  readonly signature: string;
  readonly value: Value;
}

/** A variant of a basic type or a list of them. */
export function variant(signature: string, value: Value): Variant {
  return { signature, value };
}

/** Whether the value is a variant. */
export function isVariant(value: Value | undefined): value is Variant {
  return typeof value === "object" && "signature" in value;
}

/** The string among a message's values; throws `DataLoss` where there is another thing. */
export function textAt(values: readonly Value[], index: number): string {
  const value = values[index];
  if (typeof value === "string") return value;
  throw new Failure("DataLoss", `a D-Bus peer sent ${typeof value} where a string was expected`);
}
