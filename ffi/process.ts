/**
 * Processes by pidfd: waiting, signals, and what the kernel says about them.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { waitInPlace } from "./descriptor.ts";
import { isErrno } from "./errno.ts";
import { call } from "./syscall.ts";
import type { Reactor, Watch } from "./reactor.ts";
import { after, pause } from "./timer.ts";

/** How a process ended. */
export type ExitStatus = { code: number } | { signal: number };

/** What a shell would show: the code, or 128 + signal. */
export function exitCode(status: ExitStatus): number {
  return "code" in status ? status.code : 128 + status.signal;
}

/** A pidfd of a process. Throws {@link SyscallError} `ESRCH` where there is none. */
export function openPidfd(pid: number): number {
  return call("pidfd_open", pid, 0);
}

/** Sends a signal. Throws {@link SyscallError} `ESRCH` once the process has been reaped. */
export function signalPidfd(pidfd: number, signal: number): void {
  call("pidfd_send_signal", pidfd, signal, 0, 0);
}

/** Reaps the child of a pidfd; undefined while it still runs. Never touches another child. */
export function reap(pidfd: number): ExitStatus | undefined {
  return waitid(flags("P_PIDFD"), pidfd)?.status;
}

/** waitid(2) without waiting. siginfo_t: si_code at 8, si_pid at 16, si_status at 24 on both architectures. */
function waitid(type: number, id: number, options = 0): { pid: number; status: ExitStatus } | undefined {
  const info = new Int32Array(32);
  call("waitid", type, id, info, flags("WEXITED", "WNOHANG") | options, 0);
  const pid = info[4]!;
  if (pid === 0) return undefined;
  return { pid, status: info[2] === flags("CLD_EXITED") ? { code: info[6]! } : { signal: info[6]! } };
}

/** Waits until the process of the pidfd has ended, without reaping it. */
export function ended(reactor: Reactor, pidfd: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const watch = reactor.watch(pidfd, flags("EPOLLIN"), () => {
      watch.close();
      resolve();
    });
    signal?.addEventListener("abort", () => {
      watch.close();
      reject(signal.reason);
    }, { once: true });
  });
}

/** How long to leave an ended child to its tracer before the next look; nothing tells when that is done with it. */
const tracedRetryMs = 20;

/**
 * Waits for a child's end and reaps it. For the first `inPlaceMs` the whole thread waits: a process that is alone with
 * its child sees an early end a millisecond sooner.
 */
export async function waitForChild(reactor: Reactor, pidfd: number, inPlaceMs = 0): Promise<ExitStatus> {
  if (inPlaceMs === 0 || !waitInPlace(pidfd, inPlaceMs)) await ended(reactor, pidfd);
  for (;;) {
    const status = reap(pidfd);
    if (status !== undefined) return status;
    // Somebody in its container traces it, and has not taken note of the end yet: until then it is not for the parent.
    await pause(reactor, tracedRetryMs);
  }
}

/**
 * Makes orphans of this process's descendants its children, and reaps them when SIGCHLD comes.
 *
 * `owns` tells which children belong to somebody else (started by `Deno.Command`, or waited for by pidfd): they are
 * looked at without being taken. Since waitid shows one ended child at a time, an owned one hides others for as long
 * as its owner leaves it: then another look follows 2 ms later.
 */
export class OrphanReaper implements Disposable {
  #timer: Watch | undefined;
  readonly #owns: (pid: number) => boolean;
  readonly #listener = () => this.#look();

  constructor(readonly reactor: Reactor, owns: (pid: number) => boolean) {
    this.#owns = owns;
    call("prctl", flags("PR_SET_CHILD_SUBREAPER"), 1, 0, 0, 0);
    Deno.addSignalListener("SIGCHLD", this.#listener);
    this.#look();
  }

  #look(): void {
    this.#timer?.close();
    for (;;) {
      const seen = this.#peek();
      if (seen === undefined) return;
      if (this.#owns(seen)) {
        this.#timer = after(this.reactor, 2, this.#listener);
        return;
      }
      waitid(1, /* P_PID */ seen);
    }
  }

  #peek(): number | undefined {
    try {
      return waitid(flags("P_ALL"), 0, flags("WNOWAIT"))?.pid;
    } catch (error) {
      if (isErrno(error, "ECHILD")) return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#timer?.close();
    Deno.removeSignalListener("SIGCHLD", this.#listener);
    call("prctl", flags("PR_SET_CHILD_SUBREAPER"), 0, 0, 0, 0);
  }
}

/** Moves the calling thread's children-to-be into another pid namespace (setns(2) CLONE_NEWPID). */
export function joinPidNamespace(fd: number): void {
  call("setns", fd, flags("CLONE_NEWPID"));
}
