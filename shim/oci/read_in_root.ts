/**
 * Reads small files of an untrusted root file system from outside, before anything of its own runs.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { constant, type ConstantName, flags } from "../../ffi/constants.ts";
import { Descriptor, openFile, readOnce } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { magicOf } from "../../ffi/file_system.ts";
import { attempt, call } from "../../ffi/syscall.ts";
import { kernelFileSystems } from "./plan/file_system.ts";

/** No passwd or group file that is meant seriously is larger: that would be 200,000 users. */
export const fileBytesMax = 16 << 20;
/** Enough for most. */
const bytesAtFirst = 8192;

/** What else than data a file may turn out to be, that `openInRoot` finds. */
const refused: readonly ConstantName[] = [...kernelFileSystems, "FUSE_SUPER_MAGIC"];

/**
 * The text of a file below `root`, with links resolved as if it were the root directory; undefined where there is no
 * such regular file. Files of the kernel's and of programs that serve file systems are none, unless the root itself is one
 * of the latter: reading them may wait for ever. Throws `OutOfRange` for one that is larger than 16 MiB.
 */
export function readInRoot(root: string, path: string): string | undefined {
  try {
    using directory = openFile(root, flags("O_PATH", "O_DIRECTORY"));
    using found = lookUp(directory, path);
    const self = `/proc/self/fd/${found.number}`;
    // A device may do something as soon as it is opened, and no device cgroup of the container holds this process back.
    if (!Deno.statSync(self).isFile) return undefined;
    // Somebody may have a lease on it, which an open waits for.
    using file = openFile(self, flags("O_RDONLY", "O_NONBLOCK", "O_NOCTTY"));
    return readText(file.number, `${root}/${path}`);
  } catch (error) {
    if (error instanceof Foreign) return undefined;
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "EACCES", "ENXIO", "EAGAIN")) return undefined;
    throw error;
  }
}

/**
 * The text of a file as layers of an overlay show it, nearest first: the nearest that has it decides; empty where it is
 * nowhere, or was removed. Throws as {@link readInRoot} does.
 */
export function readInLayers(layers: readonly string[], path: string): string {
  for (const layer of layers) {
    const seen = lookAt(layer, path);
    if (seen === "removed") return "";
    if (seen === "there") return readInRoot(layer, path) ?? "";
  }
  return "";
}

function lookAt(layer: string, path: string): "there" | "removed" | "missing" {
  const resolve = flags("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS", "RESOLVE_NO_XDEV");
  const how = new BigUint64Array([BigInt(flags("O_PATH", "O_NOFOLLOW", "O_CLOEXEC")), 0n, BigInt(resolve)]);
  using directory = openFile(layer, flags("O_PATH", "O_DIRECTORY"));
  const opened = attempt("openat2", directory.number, path, how, 24);
  if (opened < 0) return "missing";
  using found = new Descriptor(opened);
  // A character device 0:0 is a whiteout: the file was removed.
  return Deno.statSync(`/proc/self/fd/${found.number}`).isCharDevice ? "removed" : "there";
}

/** A file that is not the root file system's. */
class Foreign extends Error {}

/** Holds what is there. In the root's own mount it is of the root's file system; elsewhere that is asked for. */
function lookUp(root: Descriptor, path: string): Descriptor {
  const open = (...more: ConstantName[]) => {
    const resolve = flags("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS", ...more);
    const how = new BigUint64Array([BigInt(flags("O_PATH", "O_CLOEXEC")), 0n, BigInt(resolve)]);
    return new Descriptor(call("openat2", root.number, path, how, 24));
  };
  try {
    return open("RESOLVE_NO_XDEV");
  } catch (error) {
    if (!isErrno(error, "EXDEV")) throw error;
  }
  const found = open();
  try {
    const magic = magicOf(found.number);
    if (refused.some((name) => constant(name) === magic)) throw new Foreign();
    return found;
  } catch (error) {
    found.close();
    throw error;
  }
}

/** The whole file as text. */
function readText(fd: number, name: string): string {
  let buffer = new Uint8Array(bytesAtFirst);
  for (let size = 0;;) {
    const count = readOnce(fd, buffer.subarray(size));
    if (count === 0) return new TextDecoder().decode(buffer.subarray(0, size));
    size += count;
    if (size > fileBytesMax) {
      throw new Failure(
        "OutOfRange",
        `read "${name}": it is larger than the ${fileBytesMax >> 20} MiB that such a file may have`,
      );
    }
    if (size === buffer.length) {
      const larger = new Uint8Array(buffer.length * 4);
      larger.set(buffer);
      buffer = larger;
    }
  }
}
