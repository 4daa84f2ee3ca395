/**
 * How much room a file system has: statfs(2).
 *
 * @module
 */
import { SyscallError } from "./errno.ts";
import { attempt } from "./syscall.ts";

/** Room of a file system, in bytes. */
export interface Space {
  readonly total: number;
  /** What is left for everybody; root may have some more. */
  readonly available: number;
}

/** `sizeof(struct statfs)` of both architectures. */
const statfsBytes = 120;

/** Of the file system that holds the path. Throws {@link SyscallError}. */
export function spaceOf(path: string): Space {
  const answer = new BigInt64Array(statfsBytes / 8);
  const result = attempt("statfs", path, answer);
  if (result < 0) throw new SyscallError("statfs", -result, path);
  // f_type, f_bsize, f_blocks, f_bfree, f_bavail: 8 bytes each.
  const [, blockBytes, blocks, , available] = answer;
  return { total: Number(blockBytes! * blocks!), available: Number(blockBytes! * available!) };
}
