/**
 * The memory layout of a syscall program, as `ffi/asm/interpreter_*.S` reads it. All numbers are little-endian.
 *
 * ```text
 * header   0  u64  address of the operation under way
 *          8  i64  result of the operation that failed
 *         16  u64  address of the operation that failed, 0 while none has
 *         24  u64  address of the first operation
 * operation
 *          0  u32  system call number; 0xffffffff returns from run()
 *          4  u32  mode: bits 0–5 argument is the address of its value; 8 exact; 9 branch; 10 quiet
 *          8  u64  six arguments
 *         56  i64  the result that exact and branch compare with
 *         64  u64  two words: set of allowed errors, bit = errno (0–127)
 *         80  u64  address of the operation after success, 0 = the next one
 *         88  u64  address of the operation after an allowed error, 0 = the next one
 *         96  u64  address of 8 bytes that receive the result, 0 = none
 *        104  i64  the last result
 * ```
 *
 * @module
 */

/** Bytes of the header. */
export const headerSize = 64;

/** Bytes of an operation. */
export const operationSize = 128;

/** Offsets in the header. */
export const header = { current: 0, failure: 8, failed: 16, first: 24 } as const;

/** Offsets in an operation. */
export const operation = {
  number: 0,
  mode: 4,
  args: 8,
  expect: 56,
  allowed: 64,
  then: 80,
  otherwise: 88,
  into: 96,
  result: 104,
} as const;

/** Bits of an operation's mode, above the six of its arguments. */
export const mode = { exact: 0x100, branch: 0x200, quiet: 0x400 } as const;

/** The number of the operation that returns from run(). */
export const returnNumber = 0xffffffff;
