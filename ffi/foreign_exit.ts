/**
 * How a process ended that is not this one's child, such as a container whose shim has died.
 *
 * @module
 */
import { constant } from "./constants.ts";
import { ended, type ExitStatus } from "./process.ts";
import type { Reactor } from "./reactor.ts";
import { attempt } from "./syscall.ts";
import { pause } from "./timer.ts";

/** A process, whose number may have been given to another one since it was reaped. */
export interface ForeignProcess {
  readonly pid: number;
  /** Field 22 of `/proc/PID/stat`. */
  readonly start: string;
  /** Open before the process was reaped; it stays the caller's, open until the answer has come. */
  readonly pidfd: number;
}

/** Whose child it is may reap it in the very moment between two looks; a look costs microseconds. */
const looksMax = 3;
const lookMs = 1;

/**
 * Waits for the end of the process; gives how it ended, undefined where that cannot be known. Until somebody reaps the
 * process, `/proc/PID/stat` tells root; afterwards its pidfd does from Linux 6.15 on (PIDFD_GET_INFO). Throws the
 * signal's reason.
 */
export async function foreignExit(
  reactor: Reactor,
  process: ForeignProcess,
  signal?: AbortSignal,
): Promise<ExitStatus | undefined> {
  await ended(reactor, process.pidfd, signal);
  for (let look = 1;; look++) {
    const status = exitOfZombie(process) ?? exitOfReaped(process.pidfd);
    if (status !== undefined || look === looksMax) return status;
    await pause(reactor, lookMs);
  }
}

/** The status that waitpid(2) gives its parent, see proc_pid_stat(5): field 52. */
function exitOfZombie({ pid, start }: ForeignProcess): ExitStatus | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    return undefined;
  }
  // The second field is the command's name in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields[0] !== "Z" || fields[19] !== start || fields[49] === undefined) return undefined;
  return statusOf(Number(fields[49]));
}

/** struct pidfd_info begins with its mask, 8 bytes; its first version is 64 bytes long and ends with the exit status. */
function exitOfReaped(pidfd: number): ExitStatus | undefined {
  const info = new Uint8Array(64);
  const view = new DataView(info.buffer);
  const exit = BigInt(constant("PIDFD_INFO_EXIT"));
  view.setBigUint64(0, exit, true);
  const result = attempt("ioctl", pidfd, constant("PIDFD_GET_INFO"), info);
  // ESRCH: reaped before it was opened; the others: a kernel that does not know the question.
  if (result < 0 || (view.getBigUint64(0, true) & exit) === 0n) return undefined;
  return statusOf(view.getInt32(60, true));
}

function statusOf(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff } : { signal };
}
