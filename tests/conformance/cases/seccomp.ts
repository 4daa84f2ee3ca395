/**
 * System call filters.
 *
 * @module
 */
import type { Seccomp, SeccompSyscall } from "../../../api/oci/runtime_spec.ts";
import { type Case, inside, type InsideOptions, refused } from "../case.ts";

const noFlags = { runc: "runc 1.1 knows no flags of filters" };

const architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"];

const filtered = (
  name: string,
  rules: readonly SeccompSyscall[],
  script: string,
  out: string | RegExp,
  more: Partial<Seccomp> = {},
  options: InsideOptions = {},
): Case =>
  inside(name, script, out, {
    ...options,
    change: (spec) =>
      spec.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", architectures, syscalls: [...rules], ...more },
  });

/** What busybox calls, and runtimes after the filter is on; without mkdir. */
const calls = [
  ..."arch_prctl brk clone clone3 execve exit exit_group getpid getppid gettid getrandom getuid geteuid getgid".split(
    " ",
  ),
  ..."mprotect newfstatat prctl prlimit64 readlink readlinkat rseq rt_sigaction rt_sigprocmask rt_sigreturn".split(" "),
  ..."set_robust_list set_tid_address uname wait4 read write open openat close close_range dup dup2 dup3 fcntl".split(
    " ",
  ),
  ..."fstat stat lstat statx access faccessat faccessat2 futex mmap munmap ioctl lseek getdents64 getcwd chdir".split(
    " ",
  ),
  ..."fchdir setgid setuid setgroups setresuid setresgid capset capget umask kill tgkill sigaltstack nanosleep".split(
    " ",
  ),
  ..."clock_nanosleep sched_yield sched_getaffinity epoll_create1 epoll_ctl epoll_pwait eventfd2 pipe2 madvise".split(
    " ",
  ),
  ..."vfork fork seccomp getsockopt sendmsg recvmsg setsid pread64 fchown unlinkat splice mount_setattr fstatfs statfs openat2"
    .split(" "),
];

const mkdirs = ["mkdir", "mkdirat"];
const make = "mkdir /new 2>&1 && echo made";

/** Rule of one condition on an argument of kill(2): the signal is argument 1. */
const onSignal = (op: string, value: number, valueTwo?: number): SeccompSyscall => ({
  names: ["kill"],
  action: "SCMP_ACT_ERRNO",
  errnoRet: 42,
  args: [{ index: 1, op, value, ...(valueTwo === undefined ? {} : { valueTwo }) }],
});

/** Signals that are ignored are sent to a child, and shown where they are let through. */
const signals =
  "sleep 5 & p=$!; for s in 0 17 18 28; do kill -$s $p 2>/dev/null && printf '%s ' $s; done; kill -9 $p; echo";

/** Cases of `linux.seccomp`. */
export const seccompCases: readonly Case[] = [
  filtered(
    "ERRNO answers with its number",
    [{ names: mkdirs, action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
    make,
    /No space left/,
    {},
    { code: 1 },
  ),
  filtered(
    "ERRNO without a number is EPERM",
    [{ names: mkdirs, action: "SCMP_ACT_ERRNO" }],
    make,
    /not permitted/,
    {},
    { code: 1 },
  ),
  filtered(
    "ERRNO of zero is a success that does nothing",
    [{ names: mkdirs, action: "SCMP_ACT_ERRNO", errnoRet: 0 }],
    `${make}; test -e /new || echo missing`,
    "made\nmissing",
  ),
  filtered(
    "KILL_PROCESS ends the process",
    [{ names: mkdirs, action: "SCMP_ACT_KILL_PROCESS" }],
    "mkdir /new; echo $?",
    "159",
  ),
  filtered("KILL ends the thread", [{ names: mkdirs, action: "SCMP_ACT_KILL" }], "mkdir /new; echo $?", "159"),
  filtered(
    "KILL_THREAD ends the thread",
    [{ names: mkdirs, action: "SCMP_ACT_KILL_THREAD" }],
    "mkdir /new; echo $?",
    "159",
  ),
  filtered("TRAP sends a signal", [{ names: mkdirs, action: "SCMP_ACT_TRAP" }], "mkdir /new; echo $?", "159"),
  filtered(
    "TRACE without a tracer is ENOSYS",
    [{ names: mkdirs, action: "SCMP_ACT_TRACE" }],
    make,
    /not implemented/,
    {},
    { code: 1 },
  ),
  filtered("LOG lets the call through", [{ names: mkdirs, action: "SCMP_ACT_LOG" }], make, "made"),
  filtered(
    "a stricter default has exceptions",
    [{ names: [...calls], action: "SCMP_ACT_ALLOW" }],
    "mkdir /new 2>&1",
    /No space left/,
    {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 28,
    },
    { code: 1 },
  ),
  filtered(
    "the filter is on",
    [{ names: ["reboot"], action: "SCMP_ACT_ERRNO" }],
    "grep ^Seccomp: /proc/self/status | cut -f2",
    "2",
  ),
  filtered(
    "an unknown system call is passed over",
    [{ names: ["galaxy", ...mkdirs], action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
    make,
    /No space left/,
    {},
    { code: 1 },
  ),
  filtered("EQ compares an argument", [onSignal("SCMP_CMP_EQ", 18)], signals, "0 17 28"),
  filtered("NE compares an argument", [onSignal("SCMP_CMP_NE", 9)], signals, ""),
  filtered("LT compares an argument", [{ ...onSignal("SCMP_CMP_LT", 9) }], signals, "17 18 28"),
  filtered("LE compares an argument", [onSignal("SCMP_CMP_LE", 0)], signals, "17 18 28"),
  filtered("GT compares an argument", [onSignal("SCMP_CMP_GT", 18)], signals, "0 17 18"),
  filtered("GE compares an argument", [onSignal("SCMP_CMP_GE", 18)], signals, "0 17"),
  filtered(
    "MASKED_EQ compares some bits",
    [onSignal("SCMP_CMP_MASKED_EQ", 1, 1)],
    `${signals.replace("-9", "-2")}`,
    "0 18 28",
  ),
  filtered(
    "conditions on the same argument are alternatives",
    [{
      ...onSignal("SCMP_CMP_EQ", 17),
      args: [{ index: 1, op: "SCMP_CMP_EQ", value: 17 }, { index: 1, op: "SCMP_CMP_EQ", value: 28 }],
    }],
    signals,
    "0 18",
  ),
  filtered(
    "the flag LOG is taken",
    [{ names: mkdirs, action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
    make,
    /No space left/,
    { flags: ["SECCOMP_FILTER_FLAG_LOG"] },
    { code: 1, except: noFlags },
  ),
  filtered(
    "the flag SPEC_ALLOW is taken",
    [{ names: mkdirs, action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
    make,
    /No space left/,
    { flags: ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"] },
    { code: 1, except: noFlags },
  ),
  inside(
    "the filter is on without no_new_privs too",
    "mkdir /new 2>&1; grep NoNewPrivs /proc/self/status | cut -f2",
    /No space left[^]*\n0\n$/,
    {
      change: (spec) => {
        spec.process.noNewPrivileges = false;
        spec.linux.seccomp = {
          defaultAction: "SCMP_ACT_ALLOW",
          architectures,
          syscalls: [{ names: mkdirs, action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
        };
      },
    },
  ),
  refused("an unknown action is refused", (spec) => {
    spec.linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_GALAXY" }],
    };
  }, /SCMP_ACT_GALAXY/),
  refused("an unknown default action is refused", (spec) => {
    spec.linux.seccomp = { defaultAction: "SCMP_ACT_GALAXY" };
  }, /SCMP_ACT_GALAXY/),
  refused("an unknown comparison is refused", (spec) => {
    spec.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [onSignal("SCMP_CMP_GALAXY", 1)] };
  }, /SCMP_CMP_GALAXY/),
  refused("an unknown architecture is refused", (spec) => {
    spec.linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_GALAXY"],
      syscalls: [onSignal("SCMP_CMP_EQ", 1)],
    };
  }, /SCMP_ARCH_GALAXY/),
  refused(
    "an unknown flag is refused",
    (spec) => {
      spec.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        flags: ["SECCOMP_FILTER_FLAG_GALAXY"],
        syscalls: [onSignal("SCMP_CMP_EQ", 1)],
      };
    },
    /SECCOMP_FILTER_FLAG_GALAXY/,
    { except: noFlags },
  ),
];
