/**
 * Makes the directories and file system images that mounts ask for.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import {
  changeModeAt,
  changeOwnerAt,
  type FileStatus,
  makeDirectoryAt,
  openAt,
  openBeneath,
  S_IFDIR,
  statAtIfThere,
  truncateFile,
  unlinkAt,
} from "../../ffi/files.ts";
import type { Preparation } from "./transform.ts";
import { callersVariables } from "../../ffi/launch.ts";

const typeMask = flags("S_IFMT");

/** The directory of a path below one of the roots, and the last name. */
interface Place extends Disposable {
  readonly dir: number;
  readonly name: string;
}

/**
 * Makes something, below one of the roots only and through no link. What is there already is taken for it, if it is of
 * the right type (a directory also of the right mode and owner).
 *
 * Throws `InvalidArgument` for a path outside of the roots, `FailedPrecondition` for something else at the path, and
 * `Unknown` with the words of the program that makes a file system.
 */
export async function prepare(preparation: Preparation, roots: readonly string[], signal: AbortSignal): Promise<void> {
  if (preparation.kind === "directory") makeDirectory(preparation, roots);
  else await makeImage(preparation, roots, signal);
}

function placeOf(path: string, roots: readonly string[], what: string): Place {
  const root = roots.find((root) => path.startsWith(`${root}/`));
  const parts = root === undefined ? [] : path.slice(root.length + 1).split("/");
  const name = parts.pop();
  if (root === undefined || name === undefined || [...parts, name].some((part) => ["", ".", ".."].includes(part))) {
    throw new Failure("InvalidArgument", `${what} "${path}": want a clean path below ${roots.join(" or ")}`);
  }
  using base = openFile(root, flags("O_PATH", "O_DIRECTORY"));
  try {
    const dir = new Descriptor(openBeneath(base.number, parts.join("/"), flags("O_PATH", "O_DIRECTORY")));
    return { dir: dir.number, name, [Symbol.dispose]: () => dir.close() };
  } catch (error) {
    const code = isErrno(error, "ENOENT") ? "NotFound" : "InvalidArgument";
    throw new Failure(code, `${what} "${path}": ${messageOf(error)}`, { cause: error });
  }
}

function makeDirectory({ path, mode, owner }: Preparation & { kind: "directory" }, roots: readonly string[]): void {
  using place = placeOf(path, roots, "mkdir");
  const there = statAtIfThere(place.dir, place.name);
  if (there !== undefined) return checkDirectory(path, there, { mode, owner });
  makeDirectoryAt(place.dir, place.name, mode);
  // The umask may have taken something from it.
  changeModeAt(place.dir, place.name, mode);
  if (owner !== undefined) changeOwnerAt(place.dir, place.name, owner.uid, owner.gid);
}

function checkDirectory(
  path: string,
  there: FileStatus,
  { mode, owner }: Pick<Preparation & { kind: "directory" }, "mode" | "owner">,
): void {
  const refuse = (what: string) => new Failure("FailedPrecondition", `mkdir target "${path}" exists ${what}`);
  if ((there.mode & typeMask) !== S_IFDIR) throw refuse("and is not a directory");
  const bits = there.mode & 0o777;
  if (bits !== mode) throw refuse(`with mode ${bits.toString(8)}, want ${mode.toString(8)}`);
  if (owner !== undefined && (there.uid !== owner.uid || there.gid !== owner.gid)) {
    throw refuse(`and belongs to ${there.uid}:${there.gid}, want ${owner.uid}:${owner.gid}`);
  }
}

async function makeImage(
  image: Preparation & { kind: "image" },
  roots: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { path, size } = image;
  using place = placeOf(path, roots, "mkfs");
  const there = statAtIfThere(place.dir, place.name);
  if (there !== undefined) {
    if ((there.mode & typeMask) === flags("S_IFREG")) return;
    throw new Failure("FailedPrecondition", `mkfs backing file "${path}" exists and is not a regular file`);
  }
  try {
    const create = flags("O_RDWR", "O_CREAT", "O_EXCL", "O_NOFOLLOW");
    using file = new Descriptor(openAt(place.dir, place.name, create, 0o640));
    truncateFile(file.number, size);
    await format(image, signal);
  } catch (error) {
    // Half of a file system would be taken for a whole one the next time.
    unlinkAt(place.dir, place.name);
    throw error instanceof Failure
      ? error
      : new Failure("Unknown", `failed to create file "${path}": ${messageOf(error)}`, { cause: error });
  }
}

async function format({ path, fileSystem, uuid }: Preparation & { kind: "image" }, signal: AbortSignal): Promise<void> {
  const program = `mkfs.${fileSystem}`;
  const id = uuid === undefined ? [] : fileSystem === "xfs" ? ["-m", `uuid=${uuid}`] : ["-U", uuid];
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(program, {
      args: ["-q", ...id, path],
      env: callersVariables(),
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      signal,
    }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Failure(
      "FailedPrecondition",
      `failed format "${path}": exec: "${program}": executable file not found in $PATH: install it`,
      { cause: error },
    );
  }
  signal.throwIfAborted();
  if (output.success) return;
  const words = new TextDecoder().decode(output.stderr).trim() || new TextDecoder().decode(output.stdout).trim();
  throw new Failure("Unknown", `failed format "${path}": ${program} failed: ${words}: exit status ${output.code}`);
}
