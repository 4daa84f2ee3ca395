/**
 * Subvolumes of btrfs.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { isErrno } from "../../ffi/errno.ts";
import { closeFile, openAt, S_IFDIR, statAtIfThere } from "../../ffi/files.ts";
import { call } from "../../ffi/syscall.ts";

// linux/btrfs.h: all four take 4096 bytes, and the numbers are the same on x86_64 and aarch64.
const BTRFS_IOC_SNAP_DESTROY = 0x5000940f;
const BTRFS_IOC_INO_LOOKUP = 0xd0009412;
const BTRFS_IOC_SNAP_CREATE_V2 = 0x50009417;
const BTRFS_IOC_SUBVOL_CREATE_V2 = 0x50009418;

/** Inode number of every subvolume's root, and the first one that a subvolume's own inodes have. */
const BTRFS_FIRST_FREE_OBJECTID = 256;

/** Where the name begins in the arguments of the first version, and in those of the second. */
const nameOffset = { v1: 8, v2: 56 } as const;

function argument(name: string, offset: number, fd = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4096);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(fd), true);
  const text = new TextEncoder().encode(name);
  if (text.length > 255) throw new Failure("InvalidArgument", `"${name.slice(0, 40)}…" is too long for a subvolume`);
  bytes.set(text, offset);
  return bytes;
}

/** Makes an empty subvolume, or a writable snapshot of the subvolume `from`. May wait for the disk. */
export function makeSubvolume(path: string, from?: string): undefined {
  within(parentOf(path), (parent) => {
    if (from === undefined) {
      call("ioctl", parent, BTRFS_IOC_SUBVOL_CREATE_V2, argument(nameOf(path), nameOffset.v2));
      return;
    }
    within(from, (source) => {
      call("ioctl", parent, BTRFS_IOC_SNAP_CREATE_V2, argument(nameOf(path), nameOffset.v2, source));
    });
  });
}

/**
 * Removes a subvolume with all that is in it; its disk is freed by the kernel later. What is no subvolume, or has
 * subvolumes in it, is left to whoever removes trees.
 */
export function removeSubvolume(path: string): undefined {
  try {
    within(parentOf(path), (parent) => {
      const status = statAtIfThere(parent, nameOf(path));
      if (status === undefined || status.inode !== BigInt(BTRFS_FIRST_FREE_OBJECTID)) return;
      if ((status.mode & flags("S_IFMT")) !== S_IFDIR) return;
      call("ioctl", parent, BTRFS_IOC_SNAP_DESTROY, argument(nameOf(path), nameOffset.v1));
    });
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR", "ENOTEMPTY", "EINVAL")) throw error;
  }
}

/** The id of the subvolume that a directory is in. */
export function subvolumeId(path: string): number {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(8, BigInt(BTRFS_FIRST_FREE_OBJECTID), true);
  within(path, (fd) => call("ioctl", fd, BTRFS_IOC_INO_LOOKUP, bytes));
  return Number(view.getBigUint64(0, true));
}

function within<T>(directory: string, body: (fd: number) => T): T {
  const fd = openAt(flags("AT_FDCWD"), directory, flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW"));
  try {
    return body(fd);
  } finally {
    closeFile(fd);
  }
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
