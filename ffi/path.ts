/**
 * File names between JavaScript and the kernel.
 *
 * The kernel's names are bytes, ours are strings: a name that is not UTF-8 keeps each byte above 0x7f as a lone
 * surrogate U+DC80–U+DCFF, and comes back as the same bytes.
 *
 * @module
 */

const encoder = new TextEncoder();
// ignoreBOM keeps a byte order mark, which is part of a name like any other bytes.
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeComponent(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join("");
  }
}

/** Bytes of a path as a string; components that are not UTF-8 are escaped one by one, so that equal names stay equal. */
export function decodePath(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    const parts: string[] = [];
    let from = 0;
    for (let at = 0; at <= bytes.length; at++) {
      if (at < bytes.length && bytes[at] !== 0x2f) continue;
      parts.push(decodeComponent(bytes.subarray(from, at)));
      from = at + 1;
    }
    return parts.join("/");
  }
}

/** Bytes of a path that came from {@link decodePath} or is plain text. */
export function encodePath(path: string): Uint8Array<ArrayBuffer> {
  if (path.isWellFormed()) return encoder.encode(path);
  const bytes: number[] = [];
  for (const character of path) {
    const code = character.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...encoder.encode(character));
  }
  return Uint8Array.from(bytes);
}

// A path is only read during its call, so two buffers serve every call; longer ones get their own.
const scratch = [new Uint8Array(12 * 1024), new Uint8Array(12 * 1024)] as const;

/**
 * The path as a C string for the length of one call; a call with two paths takes a slot for each.
 * Throws `TypeError` where it holds a NUL.
 */
export function pathArgument(path: string, slot: 0 | 1 = 0): Uint8Array<ArrayBuffer> {
  if (path.includes("\0")) throw new TypeError(`${JSON.stringify(path)} holds a NUL`);
  const buffer = scratch[slot];
  if (path.length * 3 < buffer.length && path.isWellFormed()) {
    buffer[encoder.encodeInto(path, buffer).written] = 0;
    return buffer;
  }
  const bytes = encodePath(path);
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

/** Path of a name in an open directory, for the calls that have no `*at` form. Needs a mounted /proc. */
export function procPath(dir: number, name: string): string {
  return `/proc/self/fd/${dir}/${name}`;
}
