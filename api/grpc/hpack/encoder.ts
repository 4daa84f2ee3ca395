/**
 * Encoding of header blocks, RFC 7541: from the static table, and without a dynamic one. What a server of gRPC says is
 * nearly always the same few bytes, which its callers keep.
 *
 * @module
 */
import { type Field, staticTable } from "./static_table.ts";

const indexOfField = new Map(staticTable.map(([name, value], index) => [`${name}\0${value}`, index + 1]));
const indexOfName = new Map(staticTable.map(([name], index) => [name, index + 1] as const).reverse());

/** A header block of these fields. Characters above 255 cannot be sent: callers escape them. */
export function encodeHeaders(fields: Iterable<Field>): Uint8Array {
  const out: number[] = [];
  for (const [name, value] of fields) {
    const whole = indexOfField.get(`${name}\0${value}`);
    if (whole !== undefined && value !== "") {
      putInteger(out, 0x80, 7, whole);
      continue;
    }
    const index = indexOfName.get(name) ?? 0;
    putInteger(out, 0x00, 4, index);
    if (index === 0) putString(out, name);
    putString(out, value);
  }
  return Uint8Array.from(out);
}

function putInteger(out: number[], flags: number, prefix: number, value: number): void {
  const mask = (1 << prefix) - 1;
  if (value < mask) {
    out.push(flags | value);
    return;
  }
  out.push(flags | mask);
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) out.push((rest & 0x7f) | 0x80);
  out.push(rest);
}

function putString(out: number[], text: string): void {
  putInteger(out, 0x00, 7, text.length);
  for (let at = 0; at < text.length; at++) out.push(text.charCodeAt(at) & 0xff);
}
