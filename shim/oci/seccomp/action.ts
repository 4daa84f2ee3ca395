/**
 * What a filter answers, and how it is loaded: names of the runtime specification as the kernel's numbers
 * (linux/seccomp.h).
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** Answers with no data. */
const plainActions: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0x0000_0000,
  SCMP_ACT_KILL_THREAD: 0x0000_0000,
  SCMP_ACT_KILL_PROCESS: 0x8000_0000,
  SCMP_ACT_TRAP: 0x0003_0000,
  SCMP_ACT_NOTIFY: 0x7fc0_0000,
  SCMP_ACT_LOG: 0x7ffc_0000,
  SCMP_ACT_ALLOW: 0x7fff_0000,
};

/** Names of all actions that a profile may have here, in alphabetical order. */
export function knownActions(): string[] {
  return [...Object.keys(plainActions), "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"].sort();
}

const errnoAction = 0x0005_0000;
const traceAction = 0x7ff0_0000;
const eperm = 1;
const enosys = 38;
/** The kernel's MAX_ERRNO. */
const mostErrno = 4095;

/** Ends the thread: the answer to an architecture that the profile does not know. */
export const killThread = 0;
/** Answers that the call does not exist. */
export const noSuchCall = errnoAction | enosys;

/**
 * The answer for an action of a profile; `where` names the property for errors. Throws `InvalidArgument` for an
 * unknown action or an errno that has no place.
 */
export function answerOf(action: string, errno: number | undefined, where: string): number {
  const plain = plainActions[action];
  if (plain !== undefined) {
    // libseccomp has nowhere to put it either, and runc refuses it.
    if (errno !== undefined && errno !== 0) {
      throw new Failure(
        "InvalidArgument",
        `${where}: ${action} has no errnoRet: want SCMP_ACT_ERRNO or SCMP_ACT_TRACE`,
      );
    }
    return plain;
  }
  if (action !== "SCMP_ACT_ERRNO" && action !== "SCMP_ACT_TRACE") {
    throw new Failure("InvalidArgument", `${where}: unknown action "${action}"`);
  }
  const data = errno ?? eperm;
  const most = action === "SCMP_ACT_ERRNO" ? mostErrno : 0xffff;
  if (!Number.isInteger(data) || data < 0 || data > most) {
    throw new Failure("InvalidArgument", `${where}: errnoRet ${data} is out of range: want 0 to ${most}`);
  }
  return (action === "SCMP_ACT_ERRNO" ? errnoAction : traceAction) | data;
}

/** Whether calls that the profile does not name go through, at least in the end. */
export function letsThrough(action: string): boolean {
  return action === "SCMP_ACT_ALLOW" || action === "SCMP_ACT_LOG" || action === "SCMP_ACT_TRACE";
}

const flagBits: Readonly<Record<string, number>> = {
  // Every thread gets the filter anyway: at that moment there is one. runc accepts and drops it too.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  // Once a listener has received a call, only a deadly signal ends the caller's wait (Linux 5.19).
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
};

/** SECCOMP_FILTER_FLAG_NEW_LISTENER: seccomp(2) gives a descriptor. */
const newListener = 8;

/** Names of all flags that a profile may have here, in alphabetical order. */
export function knownFlags(): string[] {
  return Object.keys(flagBits).sort();
}

/**
 * The flags of seccomp(2). Where the profile has no list it is SPEC_ALLOW, as runc has it: the kernel's mitigation
 * against speculative store bypass would slow every program down. Throws `InvalidArgument` for an unknown flag,
 * and for one that only a filter with a listener can have.
 */
export function filterFlags(flags: readonly string[] | undefined, listener = false): number {
  const first = listener ? newListener : 0;
  if (flags === undefined) return first | 4;
  return flags.reduce((bits, flag) => {
    if (flag === "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" && !listener) {
      throw new Failure("InvalidArgument", `linux.seccomp.flags: ${flag} wants a rule with SCMP_ACT_NOTIFY`);
    }
    const bit = flagBits[flag];
    if (bit === undefined) throw new Failure("InvalidArgument", `linux.seccomp.flags: unknown flag "${flag}"`);
    return bits | bit;
  }, first);
}
