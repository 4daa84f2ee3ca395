/**
 * The instruction sets that a filter must tell apart, and the numbers that system calls have on each.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Arch } from "../../../ffi/arch.ts";
import { numbers as aarch64 } from "../../../ffi/gen/syscalls_aarch64.ts";
import { numbers as arm } from "../../../ffi/gen/syscalls_arm.ts";
import { numbers as x32 } from "../../../ffi/gen/syscalls_x32.ts";
import { numbers as x86 } from "../../../ffi/gen/syscalls_x86.ts";
import { numbers as x86_64 } from "../../../ffi/gen/syscalls_x86_64.ts";

type Numbers = Readonly<Record<string, number>>;

/** One system call interface of the kernel. */
export interface Abi {
  /** What the kernel puts into `seccomp_data.arch` (linux/audit.h); two interfaces may share it. */
  readonly token: number;
  /** Tables, of which the first that has a name counts. */
  readonly numbers: readonly Numbers[];
  /** Where arguments are 32 bits wide the upper word is not looked at, as libseccomp does. */
  readonly wide: boolean;
  /** Calls that can also be made through a collecting one: name → the collector and its first argument. */
  readonly multiplexed?: ReadonlyMap<string, readonly [collector: string, selector: number]>;
  /** The first number. */
  readonly first: number;
  /** Numbers from here on stand outside the kernel's table: they say nothing about how new a profile is. */
  readonly privateFrom?: number;
  /** Numbers from here on belong to an interface that the profile does not name. */
  readonly foreignFrom?: number;
}

/** `SCMP_ARCH_*` names of the runtime specification ; most of them no process on our machines can have. */
const known = new Set(
  ("MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE RISCV64 S390 S390X LOONGARCH64 PARISC PARISC64 " +
    "M68K SH SHEB X86 X86_64 X32 ARM AARCH64").split(" ").map((name) => `SCMP_ARCH_${name}`),
);

/** Names of all architectures, in alphabetical order. */
export function knownArchitectures(): string[] {
  return [...known].sort();
}

/** Bit 30 of a number means x32, under the token of x86_64 (asm/unistd.h). */
export const x32Bit = 0x4000_0000;

/** linux/net.h: `socketcall(2)`. */
const socketcalls = "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom " +
  "shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";

/** linux/ipc.h: `ipc(2)`. */
const ipcCalls: readonly [first: number, names: string][] = [
  [1, "semop semget semctl semtimedop"],
  [11, "msgsnd msgrcv msgget msgctl"],
  [21, "shmat shmdt shmget shmctl"],
];

function x86Multiplexed(): Map<string, [string, number]> {
  const calls = new Map<string, [string, number]>();
  socketcalls.split(" ").forEach((name, index) => calls.set(name, ["socketcall", index + 1]));
  for (const [first, names] of ipcCalls) {
    names.split(" ").forEach((name, index) => calls.set(name, ["ipc", first + index]));
  }
  return calls;
}

/** asm/unistd.h of 32-bit ARM: calls outside the table, of which every program needs `set_tls`. */
const armPrivate = {
  breakpoint: 0x0f_0001,
  cacheflush: 0x0f_0002,
  usr26: 0x0f_0003,
  usr32: 0x0f_0004,
  set_tls: 0x0f_0005,
  get_tls: 0x0f_0006,
};

/**
 * Calls since Linux 6.5, which the headers that our tables are made from do not have yet. Since 5.1 a new call has the
 * same number everywhere (x32 with its bit).
 */
const newer = (first = 0): Numbers => {
  const names = "cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount " +
    "lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat " +
    "open_tree_attr file_getattr file_setattr";
  return Object.fromEntries(names.split(" ").map((name, index) => [name, first + 451 + index]));
};

/** Shadow stacks are not for x32. */
function newerX32(): Numbers {
  const { map_shadow_stack: _, ...rest } = newer(x32Bit);
  return rest;
}

/** Linux 6.11 and 6.18; calls of the kernel's own trampolines, on x86_64 only. */
const probes: Numbers = { uretprobe: 335, uprobe: 336 };

/** The number of a call on the interface; undefined where it has none of that name. */
export function numberOf({ numbers }: Abi, name: string): number | undefined {
  for (const table of numbers) {
    // Names come from profiles, and every object has a "constructor".
    if (Object.hasOwn(table, name)) return table[name];
  }
  return undefined;
}

function abisOf(arch: Arch, names: readonly string[]): Abi[] {
  const plain = { first: 0, wide: true };
  const narrow = { ...plain, wide: false };
  const abis: Abi[] = [];
  if (arch === "x86_64") {
    const withX32 = names.includes("SCMP_ARCH_X32");
    const native = { ...plain, token: 0xc000_003e, numbers: [x86_64, newer(), probes] };
    abis.push(withX32 ? native : { ...native, foreignFrom: x32Bit });
    // Its registers are 64 bits wide, but libseccomp compares 32, and a filter must not depend on who compiled it.
    if (withX32) abis.push({ ...narrow, token: 0xc000_003e, numbers: [x32, newerX32()], first: x32Bit });
    if (names.includes("SCMP_ARCH_X86")) {
      abis.push({ ...narrow, token: 0x4000_0003, numbers: [x86, newer()], multiplexed: x86Multiplexed() });
    }
  } else {
    abis.push({ ...plain, token: 0xc000_00b7, numbers: [aarch64, newer()] });
    if (names.includes("SCMP_ARCH_ARM")) {
      abis.push({
        ...narrow,
        token: 0x4000_0028,
        numbers: [arm, newer(), armPrivate],
        privateFrom: 0x0f_0000,
      });
    }
  }
  return abis;
}

/**
 * The interfaces that a profile's `architectures` name and this kernel has; its own is always among them, first.
 * Names of other machines change nothing here. Throws `InvalidArgument` for a name that is none.
 */
export function chooseAbis(names: readonly string[], arch: Arch): Abi[] {
  const unknown = names.find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new Failure("InvalidArgument", `linux.seccomp.architectures: unknown architecture "${unknown}"`);
  }
  return abisOf(arch, names);
}
