/**
 * Quoted literals of filters, with Go's escapes.
 *
 * @module
 */

const simple: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };
const escape = /\\(?:([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/gu;
const characterMax = 0x10ffff;

/**
 * The text between the quotes, or undefined where an escape is of no byte or character. Takes what the scanner took as
 * a literal. Escapes of bytes that are no UTF-8 together become U+FFFD, as such bytes do in the values compared with.
 */
export function unquote(literal: string): string | undefined {
  const text = literal.slice(1, -1);
  if (!text.includes("\\")) return text;
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  let end = 0;
  for (const match of text.matchAll(escape)) {
    const [whole, octal, hex, short, long, one] = match;
    bytes.push(...encoder.encode(text.slice(end, match.index)));
    end = match.index + whole.length;
    if (octal !== undefined || hex !== undefined) {
      const value = octal !== undefined ? parseInt(octal, 8) : parseInt(hex!, 16);
      if (value > 255) return undefined;
      bytes.push(value);
    } else if (one !== undefined) {
      bytes.push(simple[one] ?? one.codePointAt(0)!);
    } else {
      const value = parseInt(short ?? long!, 16);
      if (value > characterMax) return undefined;
      bytes.push(...encoder.encode(String.fromCodePoint(value)));
    }
  }
  bytes.push(...encoder.encode(text.slice(end)));
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes));
}
