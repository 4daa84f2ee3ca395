/**
 * Turns on the few threads that calls which may wait for a disk are made on.
 *
 * @module
 */
import { type CallArg, type CallName, callOnThread } from "../../ffi/syscall.ts";

/** Deno's pool has 32 threads, which also open files and look up names; one of them waits in the reactor. */
const atOnceMax = 4;

let busy = 0;
const queue: (() => void)[] = [];

/**
 * Performs a call on a thread, after those that came before it: no more than four at once, so that a disk that does not
 * answer leaves the rest of the process its threads. -1 is all that is known of an error.
 */
export async function callInTurn(name: CallName, ...args: readonly CallArg[]): Promise<number> {
  if (busy < atOnceMax) busy++;
  else await new Promise<void>((resolve) => queue.push(resolve));
  try {
    return await callOnThread(name, ...args);
  } finally {
    const next = queue.shift();
    if (next === undefined) busy--;
    else next();
  }
}
