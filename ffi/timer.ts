/**
 * Timers on the reactor.
 *
 * Deno's own `setTimeout` brings Node's timers along when it is first used, which takes a cold process 5 ms.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor } from "./descriptor.ts";
import { isErrno } from "./errno.ts";
import type { Reactor, Watch } from "./reactor.ts";
import { call } from "./syscall.ts";

/** CLOCK_MONOTONIC of timerfd_create(2). */
const monotonic = 1;

/** What a process or host says that has no more to give for now. */
const exhausted = ["EMFILE", "ENFILE", "ENOMEM", "ENOSPC"] as const;

/**
 * Calls the handler once after so many milliseconds, unless it is closed before. Where there is no descriptor left it is
 * one of Deno's timers: a time limit must hold then, too.
 */
export function after(reactor: Reactor, timeMs: number, handler: () => void): Watch {
  try {
    return afterByDescriptor(reactor, timeMs, handler);
  } catch (error) {
    if (!isErrno(error, ...exhausted)) throw error;
    // As with the reactor, what the handler throws is an unhandled rejection.
    const timer = setTimeout(() => void Promise.resolve().then(handler), timeMs);
    return { close: () => clearTimeout(timer) };
  }
}

function afterByDescriptor(reactor: Reactor, timeMs: number, handler: () => void): Watch {
  const timer = new Descriptor(call("timerfd_create", monotonic, flags("O_CLOEXEC", "O_NONBLOCK")));
  try {
    return arm(reactor, timer, timeMs, handler);
  } catch (error) {
    timer.close();
    throw error;
  }
}

function arm(reactor: Reactor, timer: Descriptor, timeMs: number, handler: () => void): Watch {
  // struct itimerspec: interval and value, each seconds and nanoseconds. A value of zero would disarm it.
  const whole = Math.max(timeMs, 0.001);
  const seconds = Math.floor(whole / 1000);
  const spec = new BigUint64Array([0n, 0n, BigInt(seconds), BigInt(Math.floor((whole - seconds * 1000) * 1e6))]);
  call("timerfd_settime", timer.number, 0, spec, 0);
  const watch = reactor.watch(timer.number, flags("EPOLLIN"), () => {
    close();
    handler();
  });
  const close = (): void => {
    watch.close();
    timer.close();
  };
  return { close };
}

/** Resolves after so many milliseconds. */
export function pause(reactor: Reactor, timeMs: number): Promise<void> {
  return new Promise((resolve) => after(reactor, timeMs, resolve));
}

/** Waits for the promise, but not longer than that; says whether it was settled in time. Throws what it throws. */
export async function within(reactor: Reactor, promise: Promise<unknown>, timeMsMax: number): Promise<boolean> {
  let timer: Watch | undefined;
  const late = new Promise<boolean>((resolve) => timer = after(reactor, timeMsMax, () => resolve(false)));
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer?.close();
  }
}
