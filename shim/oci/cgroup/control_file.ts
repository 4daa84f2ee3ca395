/**
 * The files and directories of a cgroup file system.
 *
 * The kernel makes no symbolic links there and nobody else can, so paths are safe to follow. Files cannot be created:
 * a missing one is ENOENT.
 *
 * @module
 */
import { flags } from "../../../ffi/constants.ts";
import { openFile, readOnce, writeOnce } from "../../../ffi/descriptor.ts";
import { isErrno, SyscallError } from "../../../ffi/errno.ts";
import { call } from "../../../ffi/syscall.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const chunk = new Uint8Array(65_536);

/** The file's whole text. Throws {@link SyscallError}. */
export function readControl(path: string): string {
  using file = openFile(path, flags("O_RDONLY"));
  let text = "";
  for (;;) {
    const length = readOnce(file.number, chunk);
    if (length === 0) return text;
    text += decoder.decode(chunk.subarray(0, length));
  }
}

/** The file's text without the newline at its end; undefined where the file, or by now its cgroup, is not there. */
export function readControlIfThere(path: string): string | undefined {
  try {
    return readControl(path).trimEnd();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENODEV")) return undefined;
    throw error;
  }
}

/** Writes the text with one write(2), which is one command to the kernel. Throws {@link SyscallError} with the path. */
export function writeControl(path: string, text: string): void {
  using file = openFile(path, flags("O_WRONLY"));
  try {
    writeOnce(file.number, encoder.encode(text));
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new SyscallError("write", error.errno, path);
  }
}

/** Makes one directory, 0755 minus the umask; false where it was there. Throws {@link SyscallError}. */
export function makeDirectory(path: string): boolean {
  try {
    call("mkdirat", flags("AT_FDCWD"), path, 0o755);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** Removes one cgroup. Throws {@link SyscallError}, `EBUSY` where it has processes or cgroups in it. */
export function removeDirectory(path: string): void {
  try {
    // aarch64 has no rmdir(2).
    call("unlinkat", flags("AT_FDCWD"), path, flags("AT_REMOVEDIR"));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    throw error;
  }
}

/** Paths of the cgroups directly below one; none where it is gone. */
export function childrenOf(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].filter((entry) => entry.isDirectory).map((entry) => `${path}/${entry.name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
