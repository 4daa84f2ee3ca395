/**
 * The members of a tar archive as files.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";
import type { NamedFiles } from "../layout/named_files.ts";
import { inflate, sniffCompression } from "./inflate.ts";
import { type Extent, indexMembers, type MemberIndex } from "./member_index.ts";

/** Bytes of one read: large enough that the calls do not count, small enough not to hold up the event loop. */
const pieceBytes = 256 * 1024;

/** {@link NamedFiles} of an archive, which is read where it lies. */
export class TarFiles implements NamedFiles {
  readonly place: string;
  readonly #file: Deno.FsFile;
  readonly #index: MemberIndex;

  private constructor(file: Deno.FsFile, index: MemberIndex, place: string) {
    this.#file = file;
    this.#index = index;
    this.place = place;
  }

  /** Opens an archive, unpacking it first where it is compressed. Throws as `openSource` does. */
  static async open(path: string, temporaryDirectory: string | undefined, signal: AbortSignal): Promise<TarFiles> {
    const place = `archive "${path}"`;
    let file = await openFile(path, place);
    try {
      const compression = sniffCompression(readAt(file, 0, 8), place);
      if (compression !== "none") {
        file.seekSync(0, Deno.SeekMode.Start);
        file = await inflate(file, compression, place, temporaryDirectory, signal);
      }
      const { size } = file.statSync();
      return new TarFiles(file, indexMembers((offset, length) => readAt(file, offset, length), size, place), place);
    } catch (error) {
      closeAnyway(file);
      throw error;
    }
  }

  /** Where a member's data lies, or undefined where there is no such member. Throws for a bad link. */
  find(name: string): Extent | undefined {
    return this.#index.find(name);
  }

  /** Some bytes of a member; fewer at its end. */
  read(extent: Extent, offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = readAt(this.#file, extent.offset + offset, Math.max(0, Math.min(length, extent.size - offset)));
    if (bytes.length === 0 && offset < extent.size) throw new Failure("DataLoss", `${this.place} became shorter`);
    return bytes;
  }

  size(name: string): Promise<number | undefined> {
    return Promise.resolve(this.find(name)?.size);
  }

  open(name: string, offset: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const extent = this.find(name);
    if (extent === undefined) return Promise.reject(new Failure("NotFound", `${this.place} has no member ${name}`));
    return Promise.resolve(this.stream(extent, offset, signal));
  }

  /** The bytes of a member from `offset` on. */
  stream(extent: Extent, offset: number, signal: AbortSignal): ReadableStream<Uint8Array> {
    let at = offset;
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        signal.throwIfAborted();
        if (at >= extent.size) return controller.close();
        const piece = this.read(extent, at, pieceBytes);
        at += piece.length;
        controller.enqueue(piece);
      },
    }, { highWaterMark: 0 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#file.close();
    return Promise.resolve();
  }
}

async function openFile(path: string, place: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (cause) {
    throw new Failure("PermissionDenied", `cannot read ${place}: ${messageOf(cause)}`, { cause });
  }
}

/** Seek and read in one synchronous stretch, since streams of several members share the descriptor. */
function readAt(file: Deno.FsFile, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  file.seekSync(offset, Deno.SeekMode.Start);
  let at = 0;
  while (at < length) {
    const count = file.readSync(bytes.subarray(at));
    if (count === null) break;
    at += count;
  }
  return bytes.subarray(0, at);
}

/** Closes a file that may have been closed by whoever read it to its end. */
function closeAnyway(file: Deno.FsFile): void {
  try {
    file.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
