/**
 * An OCI layout in a directory: `oci:DIR[:TAG]`.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";
import type { ImageSource, SourceOptions } from "../source.ts";
import { openLayout } from "./layout_source.ts";
import type { NamedFiles } from "./named_files.ts";

/** Opens `DIR[:TAG]`; where DIR has a colon itself the longest directory that exists counts. Throws as `openSource` does. */
export async function openLayoutDirectory(text: string, options: SourceOptions): Promise<ImageSource> {
  const { path, tag } = await splitPath(text, (info) => info.isDirectory, "directory");
  const files = new DirectoryFiles(path);
  return await openLayout(files, tag, path, options.signal ?? new AbortController().signal);
}

/**
 * The path and what follows its last colon, where the whole is no path that exists. Throws `NotFound` where
 * neither is, `InvalidArgument` where it is no such thing (`kind` in the sentence).
 */
export async function splitPath(
  text: string,
  isRight: (info: Deno.FileInfo) => boolean,
  kind: string,
): Promise<{ path: string; tag?: string }> {
  const colons = [...text.matchAll(/:/g)].map(({ index }) => index).reverse();
  for (const end of [text.length, ...colons]) {
    const path = text.slice(0, end);
    const info = path === "" ? undefined : await statOrNothing(path);
    if (info === undefined) continue;
    if (!isRight(info)) throw new Failure("InvalidArgument", `"${path}" is not a ${kind}`);
    return end === text.length ? { path } : { path, tag: text.slice(end + 1) };
  }
  throw new Failure("NotFound", `there is no ${kind} "${text.replace(/:[^/:]*$/, "")}"`);
}

async function statOrNothing(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw new Failure("PermissionDenied", `cannot look at "${path}": ${messageOf(error)}`, { cause: error });
  }
}

/** {@link NamedFiles} of a directory. */
class DirectoryFiles implements NamedFiles {
  readonly place: string;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.place = `OCI layout "${path}"`;
  }

  async size(name: string): Promise<number | undefined> {
    const info = await statOrNothing(`${this.#path}/${name}`);
    return info?.isFile === true ? info.size : undefined;
  }

  async open(name: string, offset: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    signal.throwIfAborted();
    try {
      const file = await Deno.open(`${this.#path}/${name}`);
      if (offset > 0) await file.seek(offset, Deno.SeekMode.Start);
      return file.readable;
    } catch (cause) {
      const code = cause instanceof Deno.errors.NotFound ? "NotFound" : "PermissionDenied";
      throw new Failure(code, `cannot read ${name} in ${this.place}: ${messageOf(cause)}`, { cause });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
