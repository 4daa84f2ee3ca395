/**
 * Filters of List calls over stored objects.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { compileFilters, type FieldReader } from "../filters/compile.ts";

/** Whether an object is to be listed. */
export type Passes<T> = (object: T) => boolean;

const classText = ": invalid argument";

/**
 * One function for the filters of a request over objects whose fields `fields` reads; undefined where all pass. Throws
 * `InvalidArgument`. `classTexts` says how often its text names the class: containerd's does so twice for containers, images
 * and leases.
 */
export function passesFilters<T>(
  filters: readonly string[],
  fields: (object: T) => FieldReader,
  classTexts: 1 | 2 = 2,
): Passes<T> | undefined {
  if (filters.length === 0 || filters.includes("")) return undefined;
  try {
    const matches = compileFilters(filters);
    return (object) => matches(fields(object));
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "InvalidArgument") throw error;
    const text = error.message.endsWith(classText) ? error.message.slice(0, -classText.length) : error.message;
    throw new Failure("InvalidArgument", text + classText.repeat(classTexts), { cause: error });
  }
}

/** The value of a map for what follows its name in a field path; keys may hold dots, which the path was split at. */
export function mapField(map: Readonly<Record<string, string>>, path: readonly string[]): string | undefined {
  const key = path.slice(1).join(".");
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

const encoder = new TextEncoder();

/** Keys in the order in which stores list them. JavaScript's own is another where there are characters above U+FFFF. */
export function inByteOrder(keys: readonly string[]): string[] {
  return keys.map((key) => ({ key, bytes: encoder.encode(key) })).sort((a, b) => {
    const length = Math.min(a.bytes.length, b.bytes.length);
    for (let index = 0; index < length; index++) {
      const difference = a.bytes[index]! - b.bytes[index]!;
      if (difference !== 0) return difference;
    }
    return a.bytes.length - b.bytes.length;
  }).map(({ key }) => key);
}
