/**
 * Steps that ask the kernel what file system a descriptor is on.
 *
 * @module
 */
import type { ConstantName } from "../../../ffi/constants.ts";
import { errnoNumber } from "../../../ffi/errno.ts";
import { statfsBytes } from "../../../ffi/file_system.ts";
import { type Data, flag, type Flags, Label, type Program, room, type Slot } from "../../../ffi/program/program.ts";

/**
 * File systems whose files are the kernel's own: they are regular files to stat(2), but reading one may wait for ever,
 * take something from who else reads it, or tell secrets of the host (`/proc/kmsg` does all three).
 */
export const kernelFileSystems: readonly ConstantName[] = [
  "PROC_SUPER_MAGIC",
  "SYSFS_MAGIC",
  "CGROUP_SUPER_MAGIC",
  "CGROUP2_SUPER_MAGIC",
  "DEBUGFS_MAGIC",
  "TRACEFS_MAGIC",
  "SECURITYFS_MAGIC",
  "SELINUX_MAGIC",
  "SMACK_MAGIC",
  "AAFS_MAGIC",
  "BPF_FS_MAGIC",
  "BINFMTFS_MAGIC",
  "PSTOREFS_MAGIC",
  "EFIVARFS_MAGIC",
  "RDTGROUP_SUPER_MAGIC",
  "DEVPTS_SUPER_MAGIC",
  "NSFS_MAGIC",
];

/**
 * The program goes on at the label where the 32 bits at the beginning of the data are that number, otherwise at the next
 * step. A system call that compares: it waits, for no time, only where they are (futex(2)).
 */
export function branchOnWord(
  program: Program,
  word: Data,
  value: Flags | number,
  to: Label,
  does: string,
  otherwise?: Label,
): void {
  program.add({
    call: "futex",
    args: [word, /* FUTEX_WAIT */ 0, value, noTime()],
    does,
    allow: ["EAGAIN"],
    branch: { on: -errnoNumber("ETIMEDOUT"), to },
    ...(otherwise === undefined ? {} : { otherwise }),
  });
}

/** One of the file systems is where the descriptor leads: the program goes on at the label, otherwise at the other one. */
export function branchOnFileSystem(
  program: Program,
  descriptor: Slot,
  magics: readonly ConstantName[],
  to: Label,
  does: string,
  otherwise?: Label,
): void {
  const status = room(statfsBytes, "&statfs");
  program.add({ call: "fstatfs", args: [descriptor, status], does });
  magics.forEach((magic, index) =>
    branchOnWord(program, status, flag(magic), to, does, index === magics.length - 1 ? otherwise : undefined)
  );
}

/** Fails with the sentence where the descriptor is on another file system than this one. */
export function wantFileSystem(
  program: Program,
  descriptor: Slot,
  magic: ConstantName,
  does: string,
  sentence: string,
): void {
  const status = room(statfsBytes, "&statfs");
  program.add({ call: "fstatfs", args: [descriptor, status], does });
  program.add({
    call: "futex",
    args: [status, /* FUTEX_WAIT */ 0, flag(magic), noTime()],
    does,
    allow: ["ETIMEDOUT"],
    errors: { EAGAIN: sentence },
  });
}

function noTime(): Data {
  return room(16, "{0, 0}");
}
