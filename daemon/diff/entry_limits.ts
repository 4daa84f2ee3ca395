/**
 * What an entry of an archive may ask for.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { encodePath } from "../../ffi/path.ts";
import type { TarEntry } from "./tar_reader.ts";

/** PATH_MAX without its NUL: what is longer cannot be made, and would only cost memory and time. */
export const pathBytesMax = 4095;

/** Whether a path is longer than {@link pathBytesMax}. */
export function isTooLong(path: string): boolean {
  // A string has at most three bytes a character.
  return path.length * 3 > pathBytesMax && encodePath(path).length > pathBytesMax;
}

/** Throws `InvalidArgument` for paths and owners that no file can have. */
export function checkEntry(entry: TarEntry): void {
  const { name, uid, gid } = entry;
  // A symbolic link's text is the kernel's to judge, as it is not looked up.
  if (isTooLong(name) || (entry.type === "link" && isTooLong(entry.linkName))) {
    throw new Failure(
      "InvalidArgument",
      `unpacking "${name.slice(0, 60)}…": a path is longer than ${pathBytesMax} bytes, and no file can have it`,
    );
  }
  // Ids have 32 bits. -1 and the largest number leave a file's owner as it is, for chown(2) and so for containerd.
  if ([uid, gid].every((id) => id >= -1 && id <= 0xffffffff)) return;
  throw new Failure("InvalidArgument", `unpacking "${name}": its owner is ${uid}:${gid}: want ids of 0 to 4294967294`);
}

/** Characters of all paths together; a layer that needs more would take the memory of everything else here. */
const charactersMax = 512 << 20;
/** What a path costs beside its characters. */
const overhead = 64;

/** Counts the paths that have to be remembered while a layer is applied. */
export class PathAccount {
  #characters = 0;

  /** Throws `ResourceExhausted` where it becomes too much. */
  add(path: string): void {
    this.#characters += path.length + overhead;
    if (this.#characters <= charactersMax) return;
    throw new Failure(
      "ResourceExhausted",
      `unpacking "${path}": the layer has more directories and removed names than can be kept in mind: ${
        charactersMax >> 20
      } MiB of paths`,
    );
  }
}
