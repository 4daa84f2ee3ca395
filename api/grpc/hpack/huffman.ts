/**
 * HPACK's Huffman code, RFC 7541 section 5.2 and appendix B.
 *
 * The code is canonical: within one length, codes follow the symbols' order. So the lengths say it all.
 *
 * @module
 */
import { ConnectionError, errorCodes } from "../frames.ts";

/** Bits of the code of each byte: `A` stands for 5, `B` for 6, and so on. The end-of-string symbol has 30. */
const lengths =
  "ISXXXXXXXTZXXZXXXXXXXXZXXXXXXXXXBFFHIBDGFFDGDBBBAAABBBBBBBCDKBHFIBCCCCCCCCCCCCCCCCCCCCCCDCDIOIJBKABABABBBACC" +
  "BBBABCBAABCCCCCKGJIXPRPPRRRSRSSSSSTSTTRSTSSSSQRSRSSTRQPRRSSQSRRTQRSSQQRQSRSSPRRRSRRSVVPORSRUVVVWWVTUOQVWWVWTQQVV" +
  "XWWWPTPQRQQSRRUUTTVSVWVVWWWWWXWWWWWV";
const shortest = 5;
const longest = 30;
const endOfString = 256;

/** By length: the first code, how many codes there are, and where their symbols begin in `symbols`. */
interface Table {
  readonly first: Uint32Array;
  readonly count: Uint16Array;
  readonly start: Uint16Array;
  readonly symbols: Uint16Array;
}

let table: Table | undefined;

function makeTable(): Table {
  const of = (symbol: number) => symbol === endOfString ? longest : lengths.charCodeAt(symbol) - 65 + shortest;
  const symbols = Uint16Array.from({ length: endOfString + 1 }, (_, symbol) => symbol)
    .sort((a, b) => of(a) - of(b) || a - b);
  const first = new Uint32Array(longest + 1),
    count = new Uint16Array(longest + 1),
    start = new Uint16Array(longest + 1);
  for (const symbol of symbols) count[of(symbol)]!++;
  let code = 0, at = 0;
  for (let length = shortest; length <= longest; length++) {
    code *= 2;
    first[length] = code;
    start[length] = at;
    code += count[length]!;
    at += count[length]!;
  }
  return { first, count, start, symbols };
}

/**
 * Decodes a Huffman-coded string of octets, each one character. Throws `ConnectionError` for the end-of-string symbol and
 * for padding that is too long or not of ones.
 */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number): string {
  const { first, count, start, symbols } = table ??= makeTable();
  let text = "";
  let code = 0, length = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >>> bit) & 1);
      length++;
      if (length < shortest) continue;
      const index = code - first[length]!;
      if (index < count[length]!) {
        const symbol = symbols[start[length]! + index]!;
        if (symbol === endOfString) throw malformed("end of string inside a string");
        text += String.fromCharCode(symbol);
        code = length = 0;
      } else if (length === longest) throw malformed("no such code");
    }
  }
  if (length > 7 || code !== 2 ** length - 1) throw malformed("wrong padding");
  return text;
}

function malformed(what: string): ConnectionError {
  return new ConnectionError(errorCodes.compressionError, `header string: ${what}`);
}
