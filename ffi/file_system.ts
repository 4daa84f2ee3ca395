/**
 * What the kernel says of a file system: statfs(2).
 *
 * @module
 */
import { call } from "./syscall.ts";

/** `sizeof(struct statfs)` of both architectures, whose fields have 8 bytes each. */
export const statfsBytes = 120;
/** Where f_flags stands, in bytes. */
export const statfsFlags = 80;

/** Room of a file system, in bytes. */
export interface Space {
  readonly total: number;
  /** What is left for everybody; root may have some more. */
  readonly available: number;
}

function words(): BigInt64Array<ArrayBuffer> {
  return new BigInt64Array(statfsBytes / 8);
}

/** Of the file system that holds the path. Throws {@link SyscallError}. */
export function spaceOf(path: string): Space {
  const answer = words();
  call("statfs", path, answer);
  // f_type, f_bsize, f_blocks, f_bfree, f_bavail.
  const [, blockBytes, blocks, , available] = answer;
  return { total: Number(blockBytes! * blocks!), available: Number(blockBytes! * available!) };
}

/** The flags (`MS_RDONLY` …) of the mount that holds the path. Throws {@link SyscallError}. */
export function mountFlagsOf(path: string): number {
  const answer = words();
  call("statfs", path, answer);
  return Number(answer[statfsFlags / 8]!);
}

/** The number of the kind of file system, as in linux/magic.h, that a descriptor leads to. Throws {@link SyscallError}. */
export function magicOf(fd: number): number {
  const answer = words();
  call("fstatfs", fd, answer);
  return Number(answer[0]! & 0xffffffffn);
}
