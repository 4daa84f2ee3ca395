/**
 * Copies what one directory holds into another.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { call } from "../../ffi/syscall.ts";

/** How deep directories may be nested: the kernel's paths end here, and so does this. */
const depthMax = 256;

/** Longest text of a symbolic link (PATH_MAX). */
const linkBytesMax = 4096;

/**
 * Copies files, links, directories and nodes with owner, mode and time. The source may be a volume that somebody else
 * changes meanwhile: what is looked at is held by a descriptor, so that no link is followed that was a directory or a file a
 * moment ago. Nobody else sees the target, whose own mode stays. Throws what the file system throws: `ENOSPC` where it is full.
 */
export async function copyTree(from: string, to: string, depth = 0): Promise<void> {
  if (depth > depthMax) throw new RangeError(`directories are nested more than ${depthMax} deep`);
  for await (const { name } of Deno.readDir(from)) {
    using entry = openFile(`${from}/${name}`, flags("O_PATH", "O_NOFOLLOW"));
    const source = `/proc/self/fd/${entry.number}`;
    const target = `${to}/${name}`;
    const info = await Deno.stat(source);
    if (info.isSymlink) call("symlinkat", readLink(entry.number), flags("AT_FDCWD"), target);
    else if (info.isDirectory) await Deno.mkdir(target, { mode: 0o700 });
    else if (info.isFile) await Deno.copyFile(source, target);
    else call("mknodat", flags("AT_FDCWD"), target, info.mode ?? 0, encode(info.rdev ?? 0));
    call("fchownat", flags("AT_FDCWD"), target, info.uid ?? 0, info.gid ?? 0, flags("AT_SYMLINK_NOFOLLOW"));
    if (info.isDirectory) await copyTree(source, target, depth + 1);
    if (info.isSymlink) continue;
    // After the owner: a change of that clears set-user-ID.
    await Deno.chmod(target, (info.mode ?? 0) & 0o7777);
    await Deno.utime(target, info.atime ?? new Date(0), info.mtime ?? new Date(0));
  }
}

/** What the link says that the descriptor is of, with the NUL that ends a path. */
function readLink(link: number): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(linkBytesMax + 1);
  const length = call("readlinkat", link, "", buffer, linkBytesMax);
  return buffer.slice(0, length + 1);
}

/** A device number of stat(2) as mknod(2) takes it: both have 32 bits of it in the same places. */
function encode(rdev: number): number {
  return rdev >>> 0;
}
