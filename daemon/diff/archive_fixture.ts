/**
 * Builds tar archives for tests, hostile ones included: every field can be set to what no writer would write.
 *
 * @module
 */
import { concatBytes } from "../../api/bytes.ts";
import { blockSize } from "./tar_header.ts";

/** An entry for {@link archive}; all but the name have the defaults of an empty file. */
export interface FixtureEntry {
  name: string;
  /** The type character; "0" is a file. */
  type?: string;
  link?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  /** Contents; text is encoded as UTF-8. */
  data?: string | Uint8Array;
  /** Instead of the length of the contents. */
  size?: number;
  major?: number;
  minor?: number;
  /** Records of a PAX header before the entry. */
  pax?: Record<string, string> | [string, string][];
  magic?: "ustar" | "gnu" | "v7";
  prefix?: string;
  /** Changes the finished header block before its checksum is made. */
  patch?: (block: Uint8Array) => void;
}

const encoder = new TextEncoder();

/** All the parts one after another. */
export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return concatBytes(parts);
}

/** The bytes with zeros up to the next block. */
export function padded(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat(bytes, new Uint8Array((blockSize - bytes.length % blockSize) % blockSize));
}

/** The two zero blocks that end an archive. */
export const endBlocks = new Uint8Array(2 * blockSize);

/** An archive with these entries and its end. */
export function archive(...entries: FixtureEntry[]): Uint8Array<ArrayBuffer> {
  return concat(...entries.map(entryBytes), endBlocks);
}

/** An entry with its PAX header, contents and padding. */
export function entryBytes(entry: FixtureEntry): Uint8Array<ArrayBuffer> {
  const data = typeof entry.data === "string" ? encoder.encode(entry.data) : entry.data ?? new Uint8Array(0);
  const parts: Uint8Array[] = [];
  if (entry.pax !== undefined) parts.push(entryBytes({ name: "pax", type: "x", data: paxBody(entry.pax) }));
  parts.push(header(entry, data.length), padded(data));
  return concat(...parts);
}

/** The body of a PAX header. */
export function paxBody(records: Record<string, string> | [string, string][]): Uint8Array<ArrayBuffer> {
  const pairs = Array.isArray(records) ? records : Object.entries(records);
  return concat(...pairs.map(([key, value]) => {
    const rest = encoder.encode(` ${key}=${value}\n`);
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length++;
    return concat(encoder.encode(String(length)), rest);
  }));
}

function header(entry: FixtureEntry, length: number): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(blockSize);
  const put = (at: number, text: string) => block.set(encoder.encode(text), at);
  const octal = (at: number, width: number, value: number) => put(at, value.toString(8).padStart(width - 1, "0"));
  put(0, entry.name);
  octal(100, 8, entry.mode ?? 0o644);
  octal(108, 8, entry.uid ?? Deno.uid() ?? 0);
  octal(116, 8, entry.gid ?? Deno.gid() ?? 0);
  octal(124, 12, entry.size ?? length);
  octal(136, 12, entry.mtime ?? 1_700_000_000);
  block[156] = (entry.type ?? "0").charCodeAt(0);
  put(157, entry.link ?? "");
  const magic = entry.magic ?? "ustar";
  if (magic !== "v7") put(257, magic === "gnu" ? "ustar  \0" : "ustar\x0000");
  if (magic === "ustar") put(345, entry.prefix ?? "");
  octal(329, 8, entry.major ?? 0);
  octal(337, 8, entry.minor ?? 0);
  entry.patch?.(block);
  block.fill(0x20, 148, 156);
  octal(148, 8, block.reduce((sum, byte) => sum + byte, 0));
  return block;
}
