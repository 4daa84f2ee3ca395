/**
 * Copies what one directory holds into another.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { call } from "../../ffi/syscall.ts";

/** How deep directories may be nested: the kernel's paths end here, and so does this. */
const depthMax = 256;

/**
 * Copies files, links, directories and nodes with owner, mode and time; neither end is looked at while it changes, and no
 * link is followed. The target's own mode stays. Throws what the file system throws: `ENOSPC` where it is full.
 */
export async function copyTree(from: string, to: string, depth = 0): Promise<void> {
  if (depth > depthMax) throw new RangeError(`directories are nested more than ${depthMax} deep`);
  for await (const { name } of Deno.readDir(from)) {
    const source = `${from}/${name}`;
    const target = `${to}/${name}`;
    const info = await Deno.lstat(source);
    if (info.isSymlink) await Deno.symlink(await Deno.readLink(source), target);
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

/** A device number of stat(2) as mknod(2) takes it: both have 32 bits of it in the same places. */
function encode(rdev: number): number {
  return rdev >>> 0;
}
