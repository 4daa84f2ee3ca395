/**
 * A streaming tar reader: bytes are pushed in, entries come out at a sink. File contents are never copied: the sink
 * sees views of what was pushed.
 *
 * Understood are v7, ustar, star, PAX (path, linkpath, size, uid, gid, mtime, atime, `SCHILY.xattr.*`), GNU long names
 * and links, base-256 numbers, and all four GNU sparse formats. PAX global headers are skipped, as containerd does.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { FileTime } from "../../ffi/files.ts";
import { decodePath } from "../../ffi/path.ts";
import { blockSize, isZeroBlock, malformed, parseHeader, type TarHeader } from "./tar_header.ts";
import { overlayPax, parsePax, type PaxRecords, type TarXattr } from "./tar_pax.ts";
import { checkExtents, type Extent, MapInBody, OldGnuMap } from "./tar_sparse.ts";

/** What an entry makes. `unknown` is left to the sink to refuse: {@link TarEntry.typeFlag} tells what it is. */
export type TarType = "file" | "link" | "symlink" | "char" | "block" | "directory" | "fifo" | "unknown";

/** An entry of an archive; names and numbers are as the archive has them, not checked against anything. */
export interface TarEntry {
  readonly type: TarType;
  readonly typeFlag: number;
  readonly name: string;
  /** Target of a hard or symbolic link. */
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file, holes included. */
  readonly size: number;
  readonly mtime: FileTime;
  readonly atime: FileTime | undefined;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly TarXattr[];
  /** Of a sparse file, the ranges that have data. */
  readonly extents: readonly Extent[] | undefined;
}

/** Where entries go: one `entry`, any number of `data`, one `end`, for each in turn. */
export interface TarSink {
  /** A new entry begins. */
  entry(entry: TarEntry): void;
  /** Bytes of the entry for this offset of the file, in rising order. The memory is only lent. */
  data(bytes: Uint8Array, offset: number): void;
  /** The entry is complete. */
  end(): void;
}

/**
 * Longest body of a PAX header, GNU long name or long link. It is kept in memory before anything about the entry is
 * known; 1 MiB is what Go's reader, and so containerd, allows, and leaves room for a 64 KiB attribute many times over.
 */
export const recordBytesMax = 1 << 20;

const types: Readonly<Record<string, TarType>> = {
  "\0": "file",
  "0": "file",
  "1": "link",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "6": "fifo",
  "S": "file",
};

type State = "header" | "records" | "oldMap" | "bodyMap" | "data" | "skip" | "done";

const noXattrs: readonly TarXattr[] = [];

/** See the module's comment. Malformed input throws `InvalidArgument`, a truncated archive `DataLoss` in {@link end}. */
export class TarReader {
  readonly #sink: TarSink;
  #state: State = "header";
  readonly #block = new Uint8Array(blockSize);
  #blockFill = 0;
  #zeroBlocks = 0;
  /** Bytes of the current body that are still to come, padding excluded. */
  #left = 0;
  #padding = 0;
  #records = new Uint8Array(0);
  #recordsType = 0;
  #pax: PaxRecords | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #header: TarHeader | undefined;
  #oldMap: OldGnuMap | undefined;
  #bodyMap: MapInBody | undefined;
  #extents: readonly Extent[] | undefined;
  #extent = 0;
  #offset = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Whether the blocks that end the archive have been seen; what is pushed after them is ignored. */
  get done(): boolean {
    return this.#state === "done";
  }

  /** Takes the next bytes of the archive, in pieces of any size. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && this.#state !== "done") {
      if (this.#state === "data" || this.#state === "records") {
        const length = Math.min(this.#left, chunk.length - at);
        this.#left -= length;
        this.#body(chunk.subarray(at, at + length));
        at += length;
        if (this.#left === 0) this.#bodyEnd();
      } else if (this.#state === "skip") {
        const length = Math.min(this.#left, chunk.length - at);
        this.#left -= length;
        at += length;
        if (this.#left === 0) this.#state = "header";
      } else if (this.#blockFill === 0 && chunk.length - at >= blockSize) {
        this.#takeBlock(chunk.subarray(at, at + blockSize));
        at += blockSize;
      } else {
        const length = Math.min(blockSize - this.#blockFill, chunk.length - at);
        this.#block.set(chunk.subarray(at, at + length), this.#blockFill);
        this.#blockFill += length;
        at += length;
        if (this.#blockFill < blockSize) continue;
        this.#blockFill = 0;
        this.#takeBlock(this.#block);
      }
    }
  }

  /**
   * Says that no more bytes come. Throws `DataLoss` in the middle of an entry. Missing end blocks are accepted, and with
   * them the last entry's padding: `umoci insert` writes such layers, and Go's reader takes them.
   */
  end(): void {
    if (this.#state === "done") return;
    const atHeader = this.#state === "header" && this.#blockFill === 0;
    const inPadding = this.#state === "skip" && this.#left <= this.#padding;
    const between = (atHeader || inPadding) && !this.#hasRecords();
    if (!between) {
      const where = this.#header === undefined ? "" : ` in "${this.#header.name}"`;
      throw new Failure("DataLoss", `reading the layer's tar archive: it ends too early${where}: unexpected EOF`);
    }
    this.#state = "done";
  }

  #hasRecords(): boolean {
    return this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #takeBlock(block: Uint8Array): void {
    if (this.#state === "header") {
      if (!isZeroBlock(block)) {
        if (this.#zeroBlocks > 0) throw malformed("a header follows an end block");
        return this.#takeHeader(block);
      }
      if (this.#hasRecords()) throw malformed("it ends after the records of an entry, without the entry");
      if (++this.#zeroBlocks === 2) this.#state = "done";
    } else if (this.#state === "oldMap") {
      this.#oldMap!.extend(block);
      if (!this.#oldMap!.more) this.#beginSparse(this.#oldMap!.extents, this.#oldMap!.realSize);
    } else {
      this.#takeBodyMap(block);
    }
  }

  #takeHeader(block: Uint8Array): void {
    const header = parseHeader(block);
    switch (String.fromCharCode(header.typeFlag)) {
      case "x":
      case "L":
      case "K":
        return this.#beginRecords(header);
      case "g":
        this.#padding = 0;
        return this.#skip(header.size + padding(header.size));
    }
    this.#header = header;
    if (this.#longName !== undefined) header.name = this.#longName;
    if (this.#longLink !== undefined) header.linkName = this.#longLink;
    const pax = this.#pax;
    if (pax !== undefined) overlayPax(header, pax);
    this.#padding = padding(header.size);
    this.#left = header.size;
    if (header.typeFlag === 0x53 && header.gnu) {
      this.#oldMap = new OldGnuMap(block);
      if (this.#oldMap.more) this.#state = "oldMap";
      else this.#beginSparse(this.#oldMap.extents, this.#oldMap.realSize);
    } else if (pax?.mapInBody && typeOf(header) === "file") {
      if (header.size < blockSize) throw malformed("a sparse file has no map");
      this.#bodyMap = new MapInBody();
      this.#state = "bodyMap";
    } else if (pax?.extents !== undefined && typeOf(header) === "file") {
      // finishSparse() in tar_pax.ts made sure that there is a size.
      this.#beginSparse(pax.extents, pax.realSize!);
    } else {
      this.#begin(undefined, header.size);
    }
  }

  #beginRecords(header: TarHeader): void {
    if (header.size > recordBytesMax) {
      throw malformed(`an extended header has ${header.size} bytes, and ${recordBytesMax} are the limit`);
    }
    this.#recordsType = header.typeFlag;
    this.#records = new Uint8Array(header.size);
    this.#left = header.size;
    this.#padding = padding(header.size);
    this.#state = "records";
    if (this.#left === 0) this.#bodyEnd();
  }

  #takeBodyMap(block: Uint8Array): void {
    const map = this.#bodyMap!;
    this.#left -= blockSize;
    const extents = map.push(block);
    if (extents !== undefined) this.#beginSparse(extents, this.#pax!.realSize!);
    else if (this.#left < blockSize) throw malformed("the map of a sparse file is longer than its body");
  }

  #beginSparse(extents: readonly Extent[], realSize: number): void {
    if (realSize < 0) throw malformed("a sparse file has a negative size");
    if (this.#left < 0) throw malformed("the map of a sparse file is longer than its body");
    checkExtents(extents, realSize, this.#left);
    this.#begin(extents, realSize);
  }

  #begin(extents: readonly Extent[] | undefined, size: number): void {
    const header = this.#header!;
    const type = typeOf(header);
    // Only files have bodies; Go's reader too ignores the size of the rest, which some writers set for hard links.
    if (type !== "file" && type !== "unknown") this.#left = this.#padding = 0;
    this.#extents = extents;
    this.#extent = 0;
    this.#offset = 0;
    const pax = this.#pax;
    this.#pax =
      this.#longName =
      this.#longLink =
      this.#oldMap =
      this.#bodyMap =
        undefined;
    this.#sink.entry({
      type,
      typeFlag: header.typeFlag,
      name: header.name,
      linkName: header.linkName,
      mode: header.mode,
      uid: header.uid,
      gid: header.gid,
      size: type === "file" ? size : 0,
      mtime: header.mtime,
      atime: header.atime,
      major: header.major,
      minor: header.minor,
      xattrs: pax?.xattrs ?? noXattrs,
      extents,
    });
    this.#state = "data";
    if (this.#left === 0) this.#bodyEnd();
  }

  #body(bytes: Uint8Array): void {
    if (this.#state === "records") {
      this.#records.set(bytes, this.#records.length - this.#left - bytes.length);
    } else if (this.#extents === undefined) {
      this.#sink.data(bytes, this.#offset);
      this.#offset += bytes.length;
    } else {
      this.#sparseBody(this.#extents, bytes);
    }
  }

  #sparseBody(extents: readonly Extent[], bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      // checkExtents() made sure that the extents hold as many bytes as the body.
      const { offset, length } = extents[this.#extent]!;
      const count = Math.min(length - this.#offset, bytes.length - at);
      if (count > 0) this.#sink.data(bytes.subarray(at, at + count), offset + this.#offset);
      at += count;
      this.#offset += count;
      if (this.#offset < length) return;
      this.#extent++;
      this.#offset = 0;
    }
  }

  #bodyEnd(): void {
    const isRecords = this.#state === "records";
    this.#skip(this.#padding);
    if (!isRecords) {
      this.#header = undefined;
      return this.#sink.end();
    }
    const records = this.#records;
    this.#records = new Uint8Array(0);
    if (this.#recordsType === 0x78) this.#pax = parsePax(records);
    else if (this.#recordsType === 0x4c) this.#longName = decodePath(untilNul(records));
    else this.#longLink = decodePath(untilNul(records));
  }

  #skip(length: number): void {
    this.#left = length;
    this.#state = length === 0 ? "header" : "skip";
  }
}

/** Bytes that fill the last block of a body. */
function padding(size: number): number {
  return (blockSize - size % blockSize) % blockSize;
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const nul = bytes.indexOf(0);
  return nul === -1 ? bytes : bytes.subarray(0, nul);
}

function typeOf(header: TarHeader): TarType {
  // Before POSIX there was no type for directories: a file whose name ends in a slash is one.
  if (header.typeFlag === 0 && header.name.endsWith("/")) return "directory";
  return types[String.fromCharCode(header.typeFlag)] ?? "unknown";
}
