/**
 * From a process that joins namespaces to the one that it clones into them: the container's own.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { exitCode, openPidfd, waitForChild } from "../../ffi/process.ts";
import type { Data } from "../../ffi/program/program.ts";
import { Child } from "../../ffi/program/spawn.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { call } from "../../ffi/syscall.ts";
import { Launched } from "./launch.ts";

/** Joining takes less than a millisecond; where it takes longer than this, something in it waits. */
const joinMs = 20;

/**
 * Waits for the end of the first process, and gives the second, whose id stands at `pid`. Throws
 * {@link ProgramFailure} for a namespace that could not be joined, `Aborted` where it was killed.
 *
 * `init` is the first process of the container that is joined. The id has stood in memory that the second process
 * shares: a container that may trace it could have put that of another there, which the caller would take for its own.
 * Only one of the same pid namespace is accepted.
 */
export async function nextGeneration(
  reactor: Reactor,
  first: Launched,
  pid: Data,
  init?: number,
): Promise<Launched> {
  const { child } = first;
  const status = await waitForChild(reactor, child.pidfd, first.alone ? joinMs : 0);
  const next = new DataView(child.bytesOf(pid).buffer).getInt32(0, true);
  if (next === 0) {
    throw child.failure() ??
      new Failure("Aborted", `the process that joins the container's namespaces ended with ${exitCode(status)}`);
  }
  if (init !== undefined && pidNamespaceOf(next) !== pidNamespaceOf(init)) {
    throw new Failure("Aborted", `process ${next} is not of the container, which has given its id`);
  }
  // Nobody but this process reaps the second one: its id cannot have become another's.
  const second = new Child(next, openPidfd(next), child.program, child.assembly, child.arena);
  call("close", child.pidfd);
  return new Launched(second, first.report, first.alone);
}

function pidNamespaceOf(pid: number): string {
  return Deno.readLinkSync(`/proc/${pid}/ns/pid`);
}
