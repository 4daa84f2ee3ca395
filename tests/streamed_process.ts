/**
 * Programs that are started with given descriptors as their standard streams, as a container's process is.
 *
 * @module
 */
import { constant } from "../ffi/constants.ts";
import { type ExitStatus, waitForChild } from "../ffi/process.ts";
import { Given, room, textArray } from "../ffi/program/program.ts";
import { type Child, ChildProgram, spawn } from "../ffi/program/spawn.ts";
import type { Reactor } from "../ffi/reactor.ts";

/** A program that runs. */
export interface StreamedProcess {
  readonly child: Child;
  /** Waits for its end and reaps it. */
  end(): Promise<ExitStatus>;
}

/** Starts `/bin/sh -c script`. With `terminal` the streams are its controlling terminal, in a session of its own. */
export function startStreamed(
  reactor: Reactor,
  script: string,
  streams: { stdin: number; stdout: number; stderr: number },
  terminal = false,
): StreamedProcess {
  const program = new ChildProgram([]);
  const does = "start the test's program";
  program.add({ call: "rt_sigaction", args: [13, room(32, "{SIG_DFL}"), 0, 8], does });
  program.add({ call: "setsid", args: [], does });
  ["stdin", "stdout", "stderr"].forEach((name, to) =>
    program.add({ call: "dup3", args: [new Given(name), to, 0], does })
  );
  if (terminal) program.add({ call: "ioctl", args: [0, constant("TIOCSCTTY"), 0], does });
  const args = ["/bin/sh", "-c", script];
  program.add({ call: "execve", args: ["/bin/sh", textArray(args), textArray([`PATH=/usr/bin:/bin`])], does });
  const given = new Map(Object.entries(streams).map(([name, fd]): [string, bigint] => [name, BigInt(fd)]));
  const child = spawn(program, given);
  const status = waitForChild(reactor, child.pidfd);
  const end = async (): Promise<ExitStatus> => {
    const seen = await status;
    child.close();
    return seen;
  };
  return { child, end };
}
