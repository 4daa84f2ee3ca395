/**
 * JSON with integers beyond 2^53, which seccomp profiles have: they are bigint in memory, and all their digits are kept.
 *
 * @module
 */

/** Parts of ECMAScript 2026 that TypeScript's library does not declare yet. */
interface ExactJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
}

// The runtime has them; the declaration above says what is used.
const json = JSON as unknown as ExactJson;

/** Sixteen digits or more: only then can a number be beyond 2^53, and only then is it worth to look at each. */
const longNumber = /\d{16}/;

/** Parses JSON. Throws `SyntaxError`. */
export function parseExact(text: string): unknown {
  if (!longNumber.test(text)) return JSON.parse(text);
  return json.parse(text, (_key, value, { source }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined) return value;
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}

/** Writes JSON; a bigint becomes a number with all its digits. */
export function stringifyExact(value: unknown, indent?: string | number): string {
  return JSON.stringify(
    value,
    (_key, part: unknown) => typeof part === "bigint" ? json.rawJSON(part.toString()) : part,
    indent,
  );
}
