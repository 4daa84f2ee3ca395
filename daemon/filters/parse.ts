/**
 * The filter language: `name==alpine,labels.tier~=^web`. Selectors are joined by `,` and must all hold.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { unquote } from "./quote.ts";
import { Scanner } from "./scanner.ts";

/** One condition on a field. `present` has no value. */
export interface Selector {
  readonly path: readonly string[];
  readonly operator: "present" | "==" | "!=" | "~=";
  readonly value: string;
}

/** Selectors that must all hold; with none, everything matches. */
export type Filter = readonly Selector[];

/** Longest filter, in UTF-16 units; a message holds 16 MiB, and nobody writes such a filter by hand. */
const filterLengthMax = 1 << 20;

/**
 * Reads one filter. Throws `InvalidArgument` in containerd's words, which point to the character:
 * `filters: parse error: [name >|!|< a]: unsupported operator "!"`.
 */
export function parseFilter(text: string): Filter {
  if (text.length > filterLengthMax) {
    throw new Failure("InvalidArgument", `filters: a filter of ${text.length} characters is longer than 1 MiB`);
  }
  if (text === "") return [];
  const scanner = new Scanner(text);
  const selectors = [readSelector(scanner)];
  for (;;) {
    const next = scanner.peek();
    if (next === "") return selectors;
    if (next !== ",") throw failure(scanner, scanner.position, `unexpected input: ${next}`);
    scanner.next();
    selectors.push(readSelector(scanner));
  }
}

function readSelector(scanner: Scanner): Selector {
  const path = [readField(scanner)];
  while (scanner.peek() === ".") {
    scanner.next();
    path.push(readField(scanner));
  }
  if (scanner.peek() === "," || scanner.peek() === "") return { path, operator: "present", value: "" };
  const operator = readOperator(scanner);
  return { path, operator, value: readValue(scanner, operator) };
}

function readField(scanner: Scanner): string {
  const { kind, start, text } = scanner.next();
  if (kind === "field") return text;
  if (kind === "quoted") return unquoted(scanner, start, text, false);
  throw failure(scanner, start, kind === "illegal" ? text : "expected field or quoted");
}

function readOperator(scanner: Scanner): "==" | "!=" | "~=" {
  const { kind, start, text } = scanner.next();
  if (kind === "illegal") throw failure(scanner, start, text);
  if (kind !== "operator") throw failure(scanner, start, 'expected an operator ("=="|"!="|"~=")');
  if (text === "==" || text === "!=" || text === "~=") return text;
  throw failure(scanner, start, `unsupported operator "${text}"`);
}

function readValue(scanner: Scanner, operator: string): string {
  const { kind, start, text } = scanner.next();
  if (kind === "value") return text;
  if (kind === "quoted") return unquoted(scanner, start, text, operator === "~=");
  throw failure(scanner, start, kind === "illegal" ? text : "expected value or quoted");
}

function unquoted(scanner: Scanner, start: number, literal: string, otherQuotesAllowed: boolean): string {
  if (!otherQuotesAllowed && !literal.startsWith('"')) throw failure(scanner, start, "invalid quote encountered");
  const text = unquote(literal);
  if (text === undefined) throw failure(scanner, start, "unquoting failed: quote syntax error");
  return text;
}

/** containerd points to one byte, even within a character. */
function failure({ input }: Scanner, position: number, reason: string): Failure {
  let place = input;
  if (position < input.length) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const rest = new TextEncoder().encode(input.slice(position));
    place = `${input.slice(0, position)} >|${decoder.decode(rest.subarray(0, 1))}|< ${
      decoder.decode(rest.subarray(1))
    }`;
  }
  return new Failure("InvalidArgument", `filters: parse error: [${place}]: ${reason}`);
}
