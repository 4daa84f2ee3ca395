/**
 * Shapes of JSON values, as data: what strangers send is checked against them before it is used.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** Checks the value at `path`; throws {@link Failure} where it has another shape. */
export interface Shape {
  (value: unknown, path: string): void;
  /** What stands for null among the entries of a list or map, as for Go programs, which write most specs. */
  zero?: () => unknown;
}

/** Gives a check the value that stands for null. */
function withZero(shape: Shape, zero: () => unknown): Shape {
  shape.zero = zero;
  return shape;
}

/** The error for a property of a wrong kind. */
function wrong(path: string, want: string, value: unknown): Failure {
  const is = Array.isArray(value)
    ? "a list"
    : value === null
    ? "null"
    : typeof value === "object"
    ? "an object"
    : undefined;
  const shown = typeof value === "bigint" ? `${value}` : is ?? JSON.stringify(value);
  return new Failure("InvalidArgument", `${path}: want ${want}, not ${shown}`);
}

/** A text. */
export const text: Shape = withZero((value: unknown, path: string): void => {
  if (typeof value !== "string") throw wrong(path, "a string", value);
  // Nothing of a spec may hold one: every text becomes a C string in the end.
  if (value.includes("\0")) throw new Failure("InvalidArgument", `${path}: want a string without NUL bytes`);
}, () => "");

/** True or false. */
export const boolean: Shape = withZero((value: unknown, path: string): void => {
  if (typeof value !== "boolean") throw wrong(path, "true or false", value);
}, () => false);

/** A whole number in a range, both ends included; doubles cannot tell numbers beyond 2^53 apart, and that is enough. */
export function whole(least: number, most: number): Shape {
  return withZero((value, path) => {
    const fits = (typeof value === "number" && Number.isInteger(value)) || typeof value === "bigint";
    if (!fits || value < least || value > most) throw wrong(path, `a whole number from ${least} to ${most}`, value);
  }, () => 0);
}

/** Ranges of Go's types, which the specification is written in. */
export const uint32: Shape = whole(0, 2 ** 32 - 1);
/** Signed 64 bits. */
export const int64: Shape = whole(-(2 ** 63), 2 ** 63);
/** Unsigned 64 bits. */
export const uint64: Shape = whole(0, 2 ** 64);

/** Anything at all: what is refused as a whole need not be looked into. */
export const anything: Shape = (): void => {};

/** One of a few words. */
export function oneOf(...words: readonly string[]): Shape {
  return (value, path) => {
    if (typeof value !== "string" || !words.includes(value)) throw wrong(path, words.join(", "), value);
  };
}

/** A list. */
export function list(item: Shape): Shape {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrong(path, "a list", value);
    value.forEach((entry, index) => {
      if (entry === null && item.zero !== undefined) value[index] = item.zero();
      item(value[index], `${path}[${index}]`);
    });
  };
}

// Every object of JSON is one.
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An object with names of the user's own. */
export function map(item: Shape): Shape {
  return (value, path) => {
    if (!isObject(value)) throw wrong(path, "an object", value);
    for (const [key, entry] of Object.entries(value)) {
      if (entry === null && item.zero !== undefined) value[key] = item.zero();
      item(value[key], `${path}[${JSON.stringify(key)}]`);
    }
  };
}

/**
 * An object with known properties; unknown ones are ignored, as the specification asks. A property that is null is as
 * if it were not there, and is removed: so it is for Go programs, which write most of them. Of those that are `filled` an
 * absent one is given the value that stands for null.
 */
export function object(
  properties: Readonly<Record<string, Shape>>,
  required: readonly string[] = [],
  filled: readonly string[] = [],
): Shape {
  return withZero((value, path) => {
    if (!isObject(value)) throw wrong(path === "" ? "the spec" : path, "an object", value);
    const at = (key: string) => path === "" ? key : `${path}.${key}`;
    for (const [key, entry] of Object.entries(value)) {
      if (entry === null) delete value[key];
      else if (Object.hasOwn(properties, key)) properties[key]!(entry, at(key));
    }
    for (const key of filled) if (!Object.hasOwn(value, key)) value[key] = properties[key]!.zero!();
    const missing = required.find((key) => !Object.hasOwn(value, key));
    if (missing !== undefined) throw new Failure("InvalidArgument", `${at(missing)}: this property is required`);
  }, () => ({}));
}
