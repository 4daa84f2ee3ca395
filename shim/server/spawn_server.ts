/**
 * Starts a shim's server: a process of its own session that has the listening socket from the beginning.
 *
 * @module
 */
import { hostArch } from "../../ffi/arch.ts";
import { flags } from "../../ffi/constants.ts";
import { executableStub, makePipe, openFile, readOnce } from "../../ffi/descriptor.ts";
import { addHygiene } from "../../ffi/program/hygiene.ts";
import { textArray } from "../../ffi/program/program.ts";
import { type Child, ChildProgram, spawn } from "../../ffi/program/spawn.ts";

/** A program with its words. */
export interface ServerCommand {
  /** Absolute path of the executable. */
  readonly program: string;
  /** Its words; the first is what it is called by. */
  readonly words: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
}

/** Number of the listening socket in the server, as with containerd's shims. */
export const inheritedSocket = 3;

const SIGPIPE = 13;

/**
 * Starts the program in `/` with null streams, and gives its process id; it is nobody's child to wait for. Clients may
 * connect to the socket before it is up. Throws {@link ProgramFailure} where it cannot be executed.
 */
export function spawnServer(command: ServerCommand, socket: number): number {
  const report = makePipe();
  try {
    using child = beginServer(command, socket, report.write.number);
    report.write.close();
    // Its end of file says that the program is executed, or has failed: a matter of a millisecond.
    readOnce(report.read.number, new Uint8Array(1));
    const failure = child.failure();
    if (failure !== undefined) throw failure;
    return child.pid;
  } finally {
    report.read.close();
    report.write.close();
  }
}

/**
 * As {@link spawnServer}, without waiting until the program is executed: what has failed is known when the child has ended.
 * It is the caller's to wait for. `report` is a descriptor that is closed then, besides.
 */
export function beginServer(command: ServerCommand, socket: number, report?: number): Child {
  const program = new ChildProgram([]);
  const given = new Map([["stub", BigInt(executableStub())], ["socket", BigInt(socket)]]);
  if (report !== undefined) given.set("report", BigInt(report));
  const names = ["stdin", "stdout", "stderr", ...given.keys()];
  const descriptors = names.map((from, to) => ({ from, to }));
  addHygiene(program, { arch: hostArch, descriptors, stub: names.indexOf("stub"), ignoredSignals: [SIGPIPE] });
  const does = "start the shim's server";
  program.add({ call: "dup3", args: [names.indexOf("socket"), inheritedSocket, 0], does });
  program.add({ call: "setsid", args: [], does });
  program.add({ call: "chdir", args: ["/"], does });
  const environment = [...command.environment].map(([name, value]) => `${name}=${value}`);
  program.add({
    call: "execve",
    args: [command.program, textArray([...command.words]), textArray(environment)],
    does: `exec ${JSON.stringify(command.program)}`,
  });
  using none = openFile("/dev/null", flags("O_RDWR"));
  for (const name of ["stdin", "stdout", "stderr"]) given.set(name, BigInt(none.number));
  return spawn(program, given);
}
