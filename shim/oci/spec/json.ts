/**
 * JSON whose large whole numbers survive.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";

/** What the JSON.parse of V8 tells a reviver besides key and value (proposal-json-parse-with-source). */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
// TypeScript's library does not know the third parameter yet.
const parse = JSON.parse as (text: string, reviver?: Reviver) => unknown;

/** Properties whose values are 64-bit patterns, where a double's rounding would be another condition. */
const exact = new Set(["value", "valueTwo"]);

/** Values in values: what writes JSON, or walks through it, has a stack. runc takes 10,000; a specification has some ten. */
const nestingMax = 1_000;

/** Whether lists and objects are nested too deep. */
function isTooDeep(text: string): boolean {
  // Hardly any text has so many of them at all, and counting is quick.
  if ((text.match(/[[{]/g)?.length ?? 0) <= nestingMax) return false;
  let depth = 0;
  for (let at = 0, inText = false; at < text.length; at++) {
    const character = text[at];
    if (character === '"') inText = !inText;
    else if (inText) at += character === "\\" ? 1 : 0;
    else if (character === "[" || character === "{") {
      if (++depth > nestingMax) return true;
    } else if (character === "]" || character === "}") depth--;
  }
  return false;
}

/**
 * The JSON value of the text. Whole numbers beyond 2^53 under `value` and `valueTwo` (arguments of seccomp rules) are
 * bigint; all others are doubles. `what` names the text for the error. Throws `InvalidArgument`.
 */
export function parseJson(text: string, what: string): unknown {
  if (isTooDeep(text)) {
    throw new Failure("InvalidArgument", `${what} is nested too deep: want at most ${nestingMax} values in each other`);
  }
  try {
    // A reviver is called for every value: only where a number is that long is it worth its time.
    return /[0-9]{16}/.test(text) ? parse(text, revive) : parse(text);
  } catch (error) {
    throw new Failure("InvalidArgument", `${what} is not valid JSON: ${messageOf(error)}`, { cause: error });
  }
}

const revive: Reviver = (key, value, { source }) =>
  typeof value === "number" && exact.has(key) && !Number.isSafeInteger(value) && source !== undefined &&
    /^\d+$/.test(source)
    ? BigInt(source)
    : value;

// Part of ECMAScript 2026, which TypeScript's library does not declare yet.
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** Writes JSON; a bigint becomes a number with all its digits. What {@link parseJson} gave is not nested too deep for it. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => typeof part === "bigint" ? rawJSON(part.toString()) : part);
}
