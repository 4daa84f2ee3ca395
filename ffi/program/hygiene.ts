/**
 * The first steps of every child: it becomes nobody's memory.
 *
 * A forked child shares its parent's memory, descriptors, signal handlers and `/proc/self/exe`. All of that goes before
 * anything of a container can see the child: against overwriting the runtime through `/proc/self/exe` (CVE-2019-5736),
 * reading other containers' secrets from `/proc/PID/mem`, and sockets and locks that stay open with a waiting child.
 *
 * @module
 */
import type { Arch } from "../arch.ts";
import { machineCode } from "../gen/machine_code.ts";
import type { ConstantName } from "../constants.ts";
import { flag, Given, Label, type Program, room, words } from "./program.ts";

/** A descriptor of this process → its number in the child. */
export interface Placement {
  /** Name of the given number that holds the descriptor here. */
  from: string;
  to: number;
}

/** What {@link addHygiene} needs to know. */
export interface Hygiene {
  arch: Arch;
  /** The descriptors that the child keeps; every other one is closed. Numbers run from 0 without a gap. */
  descriptors: readonly Placement[];
  /** How many of them, from 0 on, are open after `execve` too; the standard streams unless it is said otherwise. */
  kept?: number;
  /**
   * Number, in the child, of the sealed file that `/proc/self/exe` becomes. Left out by who has no right to that before it
   * has joined a user namespace, and adds {@link swapExecutable} there.
   */
  stub?: number;
  /** Signals that this process ignores; the child gets their default back. */
  ignoredSignals: readonly number[];
}

/** Upper ends of user space, largest first; the kernel refuses those that it does not have (EINVAL). */
const userSpaceEnds: Readonly<Record<Arch, readonly bigint[]>> = {
  x86_64: [0x7ffffffff000n],
  aarch64: [1n << 48n, 1n << 47n, 1n << 42n, 1n << 39n],
};

/** What glibc registers rseq with (sysdeps/unix/sysv/linux/{x86,aarch64}/bits/rseq.h). */
const rseqSignature: Readonly<Record<Arch, number>> = { x86_64: 0x53053053, aarch64: 0xd428bc00 };

/** Adds the steps. The given numbers that they use are made by `spawn`. */
export function addHygiene(program: Program, hygiene: Hygiene): void {
  program.add({
    call: "prctl",
    args: [flag("PR_SET_DUMPABLE"), 0, 0, 0, 0],
    does: "hide the child's memory from other processes",
  });
  placeDescriptors(program, hygiene.descriptors, hygiene.kept ?? 3);
  resetSignals(program, hygiene.ignoredSignals);
  unmapParent(program, hygiene.arch);
  if (hygiene.stub !== undefined) swapExecutable(program, hygiene.stub);
}

/** Moves the wanted descriptors to their numbers, by way of higher ones so that none is overwritten, and closes all others. */
function placeDescriptors(program: Program, descriptors: readonly Placement[], kept: number): void {
  const does = "keep only the wanted descriptors";
  const count = descriptors.length;
  const copies = descriptors.map(({ from }) =>
    program.result(`${from}.copy`, { call: "fcntl", args: [new Given(from), flag("F_DUPFD"), count], does })
  );
  descriptors.forEach(({ to }, index) =>
    program.add({ call: "dup3", args: [copies[index]!, to, to < kept ? 0 : flag("O_CLOEXEC")], does })
  );
  program.add({ call: "close_range", args: [count, 0xffffffff, 0], does });
}

/** clone3 has cleared the handlers (CLONE_CLEAR_SIGHAND); ignored signals and the mask are left to this. */
function resetSignals(program: Program, ignored: readonly number[]): void {
  const does = "restore default signals";
  const noAction = room(32, "{SIG_DFL}");
  for (const signal of ignored) program.add({ call: "rt_sigaction", args: [signal, noAction, 0, 8], does });
  program.add({ call: "rt_sigprocmask", args: [flag("SIG_SETMASK"), room(8, "[]"), 0, 8], does });
}

/** linux/signal.h: the handler runs on the stack of sigaltstack(2), and never returns to the restorer that x86_64 insists on. */
const SA_ONSTACK = 0x08000000;
const SA_RESTORER = 0x04000000;

/** More than the largest frame of a signal (AVX-512 and AMX: 11 KiB). */
const signalStackSize = 16384;

/**
 * Lets the signals end the process, with 128 and their number as its exit code. The first process of a pid namespace
 * would not hear of them: the kernel keeps from it what it has no handler for. An execve gives them their default back.
 */
export function dieOf(program: Program, signals: readonly ConstantName[], does: string): void {
  // stack_t: address, flags, size.
  const stack = words([room(signalStackSize, "[stack]"), 0, signalStackSize], "{stack}");
  program.add({ call: "sigaltstack", args: [stack, 0], does });
  const die = new Given("die.address");
  // struct sigaction of the kernel: handler, flags, restorer, mask.
  const action = words([die, SA_ONSTACK | SA_RESTORER, die, 0], "{die}");
  for (const signal of signals) program.add({ call: "rt_sigaction", args: [flag(signal), action, 0, 8], does });
}

/** Unregisters rseq, which lives in memory that goes, and unmaps everything but code and arena. */
function unmapParent(program: Program, arch: Arch): void {
  const unregister = "unregister restartable sequences";
  const unmapped = new Label("unmap");
  const rseq = (size: Given | number) => ({
    call: "rseq" as const,
    args: [new Given("rseq.address"), size, flag("RSEQ_FLAG_UNREGISTER"), rseqSignature[arch]],
    does: unregister,
    // EINVAL: registered with another size, or not at all.
    allow: ["EINVAL", "ENOSYS"] as const,
    then: unmapped,
  });
  // glibc registers 32 bytes whatever __rseq_size says (2.35–2.39), and max(32, AT_RSEQ_FEATURE_SIZE) later.
  program.add(rseq(32));
  program.add(rseq(new Given("rseq.size")));
  program.bind(unmapped);
  const does = "unmap the parent's memory";
  for (const part of ["low", "middle"]) {
    program.add({ call: "munmap", args: [new Given(`${part}.address`), new Given(`${part}.length`)], does });
  }
  const done = new Label("unmapped");
  const ends = userSpaceEnds[arch];
  ends.forEach((end, index) =>
    program.add({
      call: "munmap",
      args: [new Given("high.address"), new Given(`high.length.${end.toString(16)}`)],
      does,
      ...(index < ends.length - 1 ? { allow: ["EINVAL"] as const, then: done } : {}),
    })
  );
  program.bind(done);
}

/**
 * Makes `/proc/self/exe` the stub (prctl(2) PR_SET_MM_MAP; needs CONFIG_CHECKPOINT_RESTORE, and CAP_CHECKPOINT_RESTORE or
 * CAP_SYS_ADMIN in the user namespace).
 */
export function swapExecutable(program: Program, stub: number): void {
  const code = new Given("code.address");
  const end = new Given("code.end");
  // struct prctl_mm_map: code, data, brk, stack, arguments, environment, auxv, {auxv_size, exe_fd}.
  const map = words(
    [code, end, code, end, end, end, code, code, code, code, code, 0, BigInt(stub) << 32n],
    `{exe_fd=${stub}, …}`,
  );
  program.add({
    call: "prctl",
    args: [flag("PR_SET_MM"), flag("PR_SET_MM_MAP"), map, 104, 0],
    does: "exchange the executable for a sealed stub",
    errors: { EINVAL: "the kernel lacks PR_SET_MM_MAP: it wants CONFIG_CHECKPOINT_RESTORE" },
  });
}

/** The numbers that the steps of {@link addHygiene} need, for a program whose arena and code stand at these places. */
export function hygieneNumbers(
  arch: Arch,
  code: { address: bigint; size: number },
  arena: { address: bigint; size: number },
  rseq: { address: bigint; size: bigint },
): [string, bigint][] {
  const [first, second] = code.address < arena.address ? [code, arena] : [arena, code];
  const firstEnd = first.address + BigInt(first.size);
  const high = second.address + BigInt(second.size);
  // A length of zero is EINVAL for munmap; two neighbours are told apart by unmapping the (empty) page at zero again.
  const gap = second.address - firstEnd;
  return [
    ["rseq.address", rseq.address],
    ["rseq.size", rseq.size],
    ["code.address", code.address],
    ["code.end", code.address + BigInt(code.size)],
    ["die.address", code.address + BigInt(machineCode[arch].die)],
    ["low.address", 0n],
    ["low.length", first.address],
    ["middle.address", gap === 0n ? 0n : firstEnd],
    ["middle.length", gap === 0n ? first.address : gap],
    ["high.address", high],
    ...userSpaceEnds[arch].map((end): [string, bigint] => [`high.length.${end.toString(16)}`, end - high]),
  ];
}
