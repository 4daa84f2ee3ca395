/**
 * Values in the text form of GVariant, as far as properties of units need it: booleans, numbers, strings, strings of
 * bytes, and lists (docs.gtk.org/glib/gvariant-text-format.html).
 *
 * @module
 */
import { Failure } from "../../../../api/errors.ts";
import type { Value, Variant } from "../../../dbus/value.ts";

/** Number types and the smallest and largest value of each. */
const numbers: Readonly<Record<string, { code: string; min: bigint; max: bigint }>> = {
  byte: { code: "y", min: 0n, max: 255n },
  int16: { code: "n", min: -(2n ** 15n), max: 2n ** 15n - 1n },
  uint16: { code: "q", min: 0n, max: 2n ** 16n - 1n },
  int32: { code: "i", min: -(2n ** 31n), max: 2n ** 31n - 1n },
  uint32: { code: "u", min: 0n, max: 2n ** 32n - 1n },
  int64: { code: "x", min: -(2n ** 63n), max: 2n ** 63n - 1n },
  uint64: { code: "t", min: 0n, max: 2n ** 64n - 1n },
};

const otherTypes: Readonly<Record<string, string>> = {
  boolean: "b",
  double: "d",
  string: "s",
  objectpath: "o",
  signature: "g",
};

/** Lists in lists; D-Bus allows 32, and no property needs more than two. */
const depthMax = 8;

const escapes: Readonly<Record<string, string>> = {
  ...{ a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" },
};

/** The value of a text. Throws `InvalidArgument` that says what is wrong, in runc's words where it has some. */
export function parseVariant(text: string): Variant {
  const parser = new VariantParser(text);
  const value = parser.value(undefined, 0);
  if (parser.token() !== undefined) throw malformed(`unexpected ${JSON.stringify(parser.last)} behind the value`);
  return value;
}

function malformed(why: string): Failure {
  return new Failure("InvalidArgument", why);
}

class VariantParser {
  /** Names, numbers, signatures, strings, brackets. */
  readonly #pattern =
    /\s*(?:(@[a-z()]+)|(b?(?:'(?:[^'\\]|\\[^])*'|"(?:[^"\\]|\\[^])*"))|([[\],])|([^\s[\],'"]+)|(\S))/y;
  last = "";

  constructor(readonly source: string) {}

  /** The next token; undefined at the end. */
  token(): string | undefined {
    const match = this.#pattern.exec(this.source);
    if (match === null) return undefined;
    this.last = match[0].trim();
    if (match[5] !== undefined) throw malformed(`unexpected ${JSON.stringify(this.last)}`);
    return this.last;
  }

  /** Whether the next token is this one; it is taken then. */
  #skip(wanted: string): boolean {
    const before = this.#pattern.lastIndex;
    if (this.token() === wanted) return true;
    this.#pattern.lastIndex = before;
    return false;
  }

  /** One value; `code` is the type that it is to have, as far as that is known. */
  value(code: string | undefined, depth: number): Variant {
    const token = this.token();
    if (token === undefined) throw malformed("unexpected EOF");
    if (token === "[") return this.#list(code, depth);
    if (token.startsWith("@")) return this.value(token.slice(1), depth);
    const named = numbers[token]?.code ?? otherTypes[token];
    // `true` is no type's name, and names of properties of Object.prototype are none either.
    if (typeof named === "string" && Object.hasOwn({ ...numbers, ...otherTypes }, token)) {
      return this.value(named, depth);
    }
    if (/^b["']/.test(token)) return { signature: "ay", value: bytesOf(token) };
    if (/^["']/.test(token)) return textValue(unquote(token), code ?? "s");
    return plainValue(token, code);
  }

  #list(code: string | undefined, depth: number): Variant {
    if (depth >= depthMax) throw malformed(`lists are nested deeper than ${depthMax}`);
    if (code !== undefined && !code.startsWith("a")) throw malformed(`a list cannot be of the type "${code}"`);
    let element = code?.slice(1);
    const values: Value[] = [];
    if (!this.#skip("]")) {
      do {
        const item = this.value(element, depth + 1);
        element ??= item.signature;
        if (item.signature !== element) {
          throw malformed(`a list has values of the types "${element}" and "${item.signature}"`);
        }
        values.push(item.value);
      } while (this.#skip(","));
      if (!this.#skip("]")) throw malformed("a list has no end");
    }
    if (element === undefined) throw malformed("cannot infer the type of an empty list: want one such as @as []");
    // Lists of bytes are bytes.
    return { signature: `a${element}`, value: element === "y" ? Uint8Array.from(values as number[]) : values };
  }
}

function plainValue(token: string, code: string | undefined): Variant {
  if (token === "true" || token === "false") {
    if (code !== undefined && code !== "b") throw malformed(`${token} cannot be of the type "${code}"`);
    return { signature: "b", value: token === "true" };
  }
  if (!/^[-+]?[\d.]/.test(token)) throw malformed(`unrecognized type ${JSON.stringify(token)}`);
  const isWhole = /^[-+]?(0x[\da-fA-F]+|\d+)$/.test(token);
  if (code === "d" || code === undefined && !isWhole) {
    const value = Number(token);
    if (Number.isNaN(value)) throw malformed(`${JSON.stringify(token)} is no number`);
    return { signature: "d", value };
  }
  const type = Object.values(numbers).find((each) => each.code === (code ?? "i"));
  if (type === undefined || !isWhole) throw malformed(`${token} cannot be of the type "${code}"`);
  const digits = token.replace(/^[-+]/, "");
  // A leading zero is octal, as in C.
  const size = BigInt(/^0\d/.test(digits) ? parseOctal(digits) : digits);
  const value = token.startsWith("-") ? -size : size;
  if (value < type.min || value > type.max) throw malformed(`${token} is out of range for the type "${type.code}"`);
  return { signature: type.code, value: type.code === "x" || type.code === "t" ? value : Number(value) };
}

function parseOctal(digits: string): string {
  if (/[89]/.test(digits)) throw malformed(`${digits} is no octal number`);
  return `0o${digits.slice(1)}`;
}

function textValue(value: string, code: string): Variant {
  if (code !== "s" && code !== "o" && code !== "g") throw malformed(`a string cannot be of the type "${code}"`);
  return { signature: code, value };
}

/** Without its quotes, and with escapes as what they stand for. */
function unquote(token: string): string {
  return token.slice(1, -1).replace(/\\(u[\da-fA-F]{4}|U[\da-fA-F]{8}|[^])/g, (_, escape: string) => {
    if (escape.length === 1) return Object.hasOwn(escapes, escape) ? escapes[escape]! : escape;
    const point = parseInt(escape.slice(1), 16);
    if (point === 0 || point > 0x10ffff) throw malformed(`\\${escape} is no character`);
    return String.fromCodePoint(point);
  });
}

/** Bytes end with a zero, as GVariant has it. */
function bytesOf(token: string): Uint8Array {
  const text = token.slice(2, -1).replace(/\\([0-7]{1,3}|[^])/g, (_, escape: string) => {
    if (/^[0-7]/.test(escape)) return String.fromCharCode(parseInt(escape, 8) & 0xff);
    return Object.hasOwn(escapes, escape) ? escapes[escape]! : escape;
  });
  // Octal escapes are bytes, not characters; what else there is counts as ASCII.
  return Uint8Array.from([...text, "\0"], (character) => character.charCodeAt(0));
}
