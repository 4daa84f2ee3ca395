/**
 * Barge whose n-th step towards the kernel goes wrong, for the tests of faults. The arguments are barge's own.
 *
 * `BARGE_FAULT=KIND@N`: `kill` and `stop` send SIGKILL or SIGSTOP to the process itself before its n-th step that changes
 * something outside of it; `fail` lets the n-th step that may fail for want of descriptors, memory or disk do so. Without
 * it nothing goes wrong. `BARGE_FAULT_LOG=FILE` has the name of each step appended, those to be killed before as `kill
 * NAME` and those that may fail as `fail NAME`. Steps count while there is a file
 * `BARGE_FAULT_BEGIN`.
 *
 * @module
 */
import { numbers } from "../../ffi/gen/syscalls_x86_64.ts";
import { numbers as aarch64 } from "../../ffi/gen/syscalls_aarch64.ts";

const [kind, at] = (Deno.env.get("BARGE_FAULT") ?? "none@0").split("@");
const faultAt = Number(at);
const log = Deno.env.get("BARGE_FAULT_LOG");
const begin = Deno.env.get("BARGE_FAULT_BEGIN") ?? "";
const counts = { kill: 0, fail: 0 };
const { kill, pid, writeTextFileSync, readTextFileSync } = Deno;

const names = new Map(
  Object.entries(Deno.build.arch === "x86_64" ? numbers : aarch64).map(([name, number]) => [BigInt(number), name]),
);
/** What others see: a process that is gone before or after it leaves another world behind. */
const changing = new Set([
  ...["pipe2", "write", "sendto", "sendmsg", "pidfd_send_signal", "kill", "mount", "umount2", "setns", "splice"],
  ...["accept4", "fchown", "waitid", "mkdirat", "unlinkat", "mknodat", "bind", "listen", "connect"],
]);
/** What takes descriptors, memory or disk, and what it says where there are none left. */
const failing: Readonly<Record<string, number>> = {
  ...{
    openat: 24,
    pipe2: 24,
    pidfd_open: 24,
    eventfd2: 24,
    timerfd_create: 24,
    socket: 24,
    socketpair: 24,
    accept4: 24,
  },
  ...{ memfd_create: 24, inotify_init1: 24, fcntl: 24, epoll_ctl: 28, mmap: 12, mount: 12, mkdirat: 28, mknodat: 28 },
};

function note(what: "kill" | "fail", name: string): boolean {
  if (!exists(begin)) return false;
  counts[what]++;
  if (log !== undefined) writeTextFileSync(log, `${what} ${name}\n`, { append: true });
  const wanted = what === "kill" ? kind === "kill" || kind === "stop" : kind === "fail";
  return wanted && counts[what] === faultAt;
}

function exists(path: string): boolean {
  try {
    readTextFileSync(path);
    return true;
  } catch {
    return false;
  }
}

/** To be called before a step that changes something. */
function change(name: string): void {
  if (!note("kill", name)) return;
  kill(pid, kind === "stop" ? "SIGSTOP" : "SIGKILL");
  // The signal may need a moment, in which nothing may be done.
  for (const end = performance.now() + 20; performance.now() < end;);
}

const F_DUPFD_CLOEXEC = 1030n;
const EPOLL_CTL_ADD = 1n;

/** The errno with which the call is to fail; undefined where it is to be made. */
function failureOf(name: string, second: unknown): number | undefined {
  const errno = failing[name];
  if (errno === undefined) return undefined;
  if (name === "fcntl" && second !== F_DUPFD_CLOEXEC || name === "epoll_ctl" && second !== EPOLL_CTL_ADD) {
    return undefined;
  }
  return note("fail", name) ? errno : undefined;
}

// Deno's own types say more than is of use here: functions are replaced by those that take and give the same.
type Loose = Record<string, unknown>;
type Callable = (...args: unknown[]) => unknown;
const deno = Deno as unknown as Loose;

const dlopen = Deno.dlopen as unknown as (path: string, table: Loose) => { symbols: Loose };
let errno: Int32Array | undefined;
/** A call that has failed is made once more by its address, see ffi/kernel_answer.ts, and fails in the same way. */
let refused: { number: bigint; failure: number } | undefined;
deno.dlopen = (path: string, table: Loose) => {
  const library = dlopen(path, table);
  if (!("syscall" in table)) return library;
  const original = library.symbols["syscall"] as Callable;
  const location = library.symbols["__errno_location"] as (() => Deno.PointerObject) | undefined;
  if (location !== undefined) errno ??= new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location(), 4));
  const isSynchronous = location !== undefined;
  const syscall = (...args: unknown[]) => {
    const name = names.get(args[0] as bigint) ?? "";
    if (changing.has(name)) change(name);
    const failure = isSynchronous ? failureOf(name, args[2]) : undefined;
    if (failure === undefined) return original(...args);
    errno![0] = failure;
    refused = { number: args[0] as bigint, failure };
    return -1n;
  };
  return { ...library, symbols: { ...library.symbols, syscall } };
};

/** The interpreter of syscall programs is called by its address: it clones. */
const Pointer = Deno.UnsafeFnPointer as unknown as new (pointer: unknown, definition: unknown) => { call: Callable };
deno.UnsafeFnPointer = class {
  readonly call: Callable;
  constructor(pointer: Deno.PointerObject, definition: Deno.ForeignFunction) {
    const real = new Pointer(pointer, definition);
    const clones = definition.parameters.length === 1 && definition.nonblocking !== true;
    const calls = definition.parameters.length === 7;
    this.call = (...args) => {
      if (calls && refused !== undefined && refused.number === args[0]) {
        const { failure } = refused;
        refused = undefined;
        return -BigInt(failure);
      }
      if (clones) change("clone3");
      // ENOMEM is 12.
      if (clones && note("fail", "clone3")) return -12n;
      return real.call(...args);
    };
  }
};

for (const name of ["mkdir", "mkdirSync", "writeTextFileSync", "writeFileSync", "renameSync", "removeSync", "remove"]) {
  const original = deno[name] as Callable;
  deno[name] = (...args: unknown[]) => {
    change(name);
    if (!name.startsWith("remove") && note("fail", name)) {
      const error = Object.assign(new Error(`No space left on device (os error 28): ${name} '${args[0]}'`), {
        code: "ENOSPC",
      });
      if (name.endsWith("Sync")) throw error;
      return Promise.reject(error);
    }
    return original(...args);
  };
}

// Whatever this loads finds the functions of above.
await import("../../main.ts");
