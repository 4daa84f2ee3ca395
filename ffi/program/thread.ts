/**
 * Performs a syscall program on a thread of Deno's pool, without a child: a loop of blocking calls that needs no
 * JavaScript.
 *
 * @module
 */
import { hostArch } from "../arch.ts";
import { Assembly } from "./assemble.ts";
import { loadInterpreter, Mapping } from "./memory.ts";
import { flag, Label, Program, returnStep, room } from "./program.ts";

/**
 * Runs the program until its return step and gives the last result. Every step must allow any error: a step that
 * fails ends the whole process. The thread is one of 32: long waits are for one-shot processes.
 */
export async function runOnThread(program: Program): Promise<number> {
  const assembly = new Assembly(program, hostArch);
  using arena = new Mapping(assembly.size);
  arena.bytes.set(assembly.at(arena.address));
  return Number(await loadInterpreter().runOnThread(arena.address));
}

/**
 * Moves bytes between two descriptors, at least one of them a pipe, until the end of the input (result 0) or an
 * error (negative errno; `EINVAL` where the kernel cannot splice the two, for instance into a file opened with
 * O_APPEND, and nothing was moved then).
 */
export function splicePump(input: number, output: number): Program {
  const program = new Program();
  const again = new Label("again");
  const end = new Label("end");
  program.bind(again);
  program.add({
    call: "splice",
    args: [input, 0, output, 0, 1 << 20, 0],
    does: "move bytes",
    branch: { on: 0, to: end },
    allow: "any",
    otherwise: end,
  });
  program.add({ call: "fcntl", args: [input, flag("F_GETFL"), 0], does: "go on", allow: "any", then: again });
  program.bind(end);
  program.operations.push(returnStep);
  return program;
}

/** As much as a pipe holds. */
const copySize = 65_536;

/**
 * Moves bytes between two descriptors by read(2) and write(2) until the end of the input (result 0) or an error (negative
 * errno). For files: splice(2) takes a file's position when it begins to wait, and puts it back when it ends, so that two
 * pumps into one file write over each other. What write(2) does not take of a piece, as on a full disk, is lost.
 */
export function copyPump(input: number, output: number): Program {
  const program = new Program();
  const buffer = room(copySize, "&buffer");
  const again = new Label("again");
  const end = new Label("end");
  program.bind(again);
  const count = program.result("count", {
    call: "read",
    args: [input, buffer, copySize],
    does: "read bytes",
    branch: { on: 0, to: end },
    allow: "any",
    otherwise: end,
  });
  program.add({
    call: "write",
    args: [output, buffer, count],
    does: "write them",
    allow: "any",
    then: again,
    otherwise: end,
  });
  program.bind(end);
  program.operations.push(returnStep);
  return program;
}
