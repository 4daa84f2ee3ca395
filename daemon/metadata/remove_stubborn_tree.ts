/**
 * The slow way to remove a tree, for those that the ordinary way cannot.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import { closeFile, listDirectory, openAt, removeDirectoryAt, renameAt, unlinkAt } from "../../ffi/files.ts";
import { call } from "../../ffi/syscall.ts";

// linux/fs.h, the same on x86_64 and aarch64.
const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const FS_IMMUTABLE_FL = 0x10;
const FS_APPEND_FL = 0x20;

/** Directories that are emptied in one turn of the event loop. */
const directoriesPerTurn = 64;

/**
 * Removes a tree of any depth, with immutable files in it. Every directory is moved beside `path` before it is looked
 * into. So no path grows long, no chain of directories needs to stay open, and nobody who still has the tree mounted
 * can put a symbolic link into the way.
 */
export async function removeStubbornTree(path: string): Promise<void> {
  const slash = path.lastIndexOf("/");
  const place = openAt(flags("AT_FDCWD"), path.slice(0, slash), flags("O_RDONLY", "O_DIRECTORY"));
  try {
    const names = [path.slice(slash + 1)];
    for (let done = 1, name; (name = names.pop()) !== undefined; done++) {
      names.push(...removeDirectory(place, name));
      if (done % directoriesPerTurn === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  } finally {
    closeFile(place);
  }
}

/** Removes a directory, or a file, in the open directory `place`; gives the new names there of directories in it. */
function removeDirectory(place: number, name: string): string[] {
  let directory: number;
  try {
    directory = openAt(place, name, flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    if (!isErrno(error, "ENOTDIR", "ELOOP")) throw error;
    insist(() => unlinkAt(place, name), place, name);
    return [];
  }
  const moved: string[] = [];
  try {
    for (const entry of listDirectory(directory)) {
      try {
        insist(() => unlinkAt(directory, entry), directory, entry);
      } catch (error) {
        if (!isErrno(error, "EISDIR")) throw error;
        const to = crypto.randomUUID();
        insist(() => renameAt(directory, entry, place, to), directory, entry);
        moved.push(to);
      }
    }
  } finally {
    closeFile(directory);
  }
  insist(() => removeDirectoryAt(place, name), place, name);
  return moved;
}

/** Tries, and once more without the flags that forbid it. What is gone is fine. */
function insist(attempt: () => void, parent: number, name: string): void {
  try {
    return attempt();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    if (!isErrno(error, "EPERM")) throw error;
    clearFlags(parent);
    clearFlagsAt(parent, name);
  }
  attempt();
}

/** Clears the flags of a file or directory. Nothing else can have them; opening a link fails, and a device may act. */
function clearFlagsAt(parent: number, name: string): void {
  const how = flags("O_RDONLY", "O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY");
  let file: number;
  try {
    file = openAt(parent, name, how);
  } catch (error) {
    if (isErrno(error, "ELOOP", "ENXIO", "ENODEV")) return;
    throw error;
  }
  try {
    clearFlags(file);
  } finally {
    closeFile(file);
  }
}

function clearFlags(file: number): void {
  // The kernel reads and writes an int here, whatever the request's number says.
  const value = new Int32Array(2);
  try {
    call("ioctl", file, FS_IOC_GETFLAGS, value);
    const cleared = value[0]! & ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
    if (cleared === value[0]) return;
    value[0] = cleared;
    call("ioctl", file, FS_IOC_SETFLAGS, value);
  } catch (error) {
    // A file system without flags, or a device.
    if (!isErrno(error, "ENOTTY", "EOPNOTSUPP")) throw error;
  }
}
