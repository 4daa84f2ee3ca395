/**
 * The slow way to remove a tree, for those that the ordinary way cannot.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { checked, libc } from "../../ffi/libc.ts";

const library = libc({
  ioctl: { parameters: ["i32", /* fd */ "u64", /* request */ "buffer" /* argp */], result: "i32" },
});

// linux/fs.h, the same on x86_64 and aarch64.
const FS_IOC_GETFLAGS = 0x80086601n;
const FS_IOC_SETFLAGS = 0x40086602n;
const FS_IMMUTABLE_FL = 0x10;
const FS_APPEND_FL = 0x20;

/**
 * Removes a tree of any depth, with immutable files in it. Every directory is moved beside `path` before it is looked
 * into. So no path grows long, and nobody who still has the tree mounted can put a symbolic link into the way.
 */
export async function removeStubbornTree(path: string): Promise<void> {
  const place = path.slice(0, path.lastIndexOf("/"));
  const directories = [path];
  for (let directory; (directory = directories.pop()) !== undefined;) {
    const info = await lstat(directory);
    if (info === undefined) continue;
    if (!info.isDirectory) {
      await remove(directory, directory);
      continue;
    }
    // Without it an owner who is not root could not look inside.
    await Deno.chmod(directory, 0o700).catch(() => {});
    for await (const { name, isDirectory } of Deno.readDir(directory)) {
      const entry = `${directory}/${name}`;
      if (!isDirectory) {
        await remove(entry, directory);
        continue;
      }
      const moved = `${place}/${crypto.randomUUID()}`;
      await again(() => Deno.rename(entry, moved), entry, directory);
      directories.push(moved);
    }
    await remove(directory, place);
  }
}

async function lstat(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function remove(entry: string, parent: string): Promise<void> {
  return again(() => Deno.remove(entry), entry, parent);
}

/** Tries, and once more without the flags that forbid it. */
async function again(attempt: () => Promise<void>, entry: string, parent: string): Promise<void> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) throw error;
  }
  await clearFlags(entry);
  await clearFlags(parent);
  await attempt();
}

/** Clears "immutable" and "append only" of a file or directory. Others cannot have them, and opening a device acts. */
async function clearFlags(path: string): Promise<void> {
  const info = await lstat(path);
  if (info === undefined || !(info.isFile || info.isDirectory)) return;
  using file = openFile(path, flags("O_RDONLY", "O_NONBLOCK", "O_NOFOLLOW"));
  // The kernel reads and writes an int here, whatever the request's number says.
  const value = new Int32Array(2);
  checked(library().ioctl(file.number, FS_IOC_GETFLAGS, value), "ioctl FS_IOC_GETFLAGS", path);
  value[0] = value[0]! & ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
  checked(library().ioctl(file.number, FS_IOC_SETFLAGS, value), "ioctl FS_IOC_SETFLAGS", path);
}
