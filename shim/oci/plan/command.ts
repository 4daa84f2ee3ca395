/**
 * Steps that find and execute the command, and that look again where that fails: what the kernel calls "no such file" may
 * be the file itself, its loader, or the interpreter of its first line.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Arch } from "../../../ffi/arch.ts";
import { flags } from "../../../ffi/constants.ts";
import { type Errno, errnoName, errnoNumber, errnoText } from "../../../ffi/errno.ts";
import { statfsBytes, statfsFlags } from "../../../ffi/file_system.ts";
import {
  type Data,
  flag,
  Label,
  type Program,
  room,
  Slot,
  type Step,
  text,
  textArray,
  type Traces,
} from "../../../ffi/program/program.ts";
import { causeOfDenial, causeOfExecFailure } from "./explain_exec.ts";
import { openHow, openHowSize } from "./paths.ts";

/** The paths that a command may be found at: itself where it holds a slash, else one for each directory of PATH. */
export function commandCandidates(command: string, environment: readonly string[]): string[] {
  // In the words that callers know for "not found".
  if (command === "") throw new Failure("NotFound", 'exec: "": executable file not found in $PATH');
  if (command.includes("/")) return [command];
  const path = environment.find((entry) => entry.startsWith("PATH="))?.slice(5) ?? "";
  return path === "" ? [command] : path.split(":").map((directory) => `${directory || "."}/${command}`);
}

/** Errors of a search that goes on in the next directory. */
const searchOn: readonly Errno[] = ["ENOENT", "ENOTDIR", "EACCES"];

/** Errors that the look of the file explains. */
const explained: readonly Errno[] = [...searchOn, "ENOEXEC"];

/** Bytes that are read of a file: linkers put the program headers and the loader's name there. */
const headBytes = 1024;

/** Size of struct statx, and where the mode stands in it. */
const statx = { bytes: 256, mode: 28 } as const;

/** What is executed. */
export interface CommandOptions {
  /** A path, or a name to be looked for in the directories of PATH. */
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: readonly string[];
  /** A further variable, which becomes known only when the program runs. */
  readonly home?: Data;
  readonly arch: Arch;
}

/** The last thing that a program does. */
export class Command {
  readonly #candidates: readonly string[];
  readonly #argv;
  readonly #env;

  /** Throws `NotFound` where the name is empty. */
  constructor(readonly program: Program, readonly options: CommandOptions) {
    this.#candidates = commandCandidates(options.name, options.environment);
    this.#argv = textArray(options.args);
    this.#env = textArray(options.home === undefined ? options.environment : [...options.environment, options.home]);
  }

  /** Fails at creation where the command is missing, with the texts that dockerd and podman know (126 and 127). */
  addLookup(): void {
    const { name } = this.options;
    const found = new Label("found");
    const quoted = JSON.stringify(name);
    const does = `find ${quoted}`;
    const bySearch = !name.includes("/");
    const notFound = `exec: ${quoted}: executable file not found in $PATH`;
    this.#candidates.forEach((path, index) => {
      const last = index === this.#candidates.length - 1;
      const access = { call: "faccessat2" as const, args: [flag("AT_FDCWD"), path, flag("X_OK"), flag("AT_EACCESS")] };
      const errors = bySearch ? { ENOENT: notFound, ENOTDIR: notFound, EACCES: notFound } : {
        ENOENT: `exec: ${quoted}: stat ${name}: no such file or directory`,
        ENOTDIR: `exec: ${quoted}: stat ${name}: not a directory`,
        EACCES: `exec: ${quoted}: permission denied`,
      };
      const allow = last ? bySearch ? [] : ["EACCES" as const] : searchOn;
      this.program.add({ ...access, does, then: found, allow, errors });
      if (last && !bySearch) this.#addDenial({ ...access, does, errors }, path);
    });
    this.program.bind(found);
    if (!bySearch) this.#refuseDirectory();
  }

  /** Looks at a file that may not be executed, and fails. */
  #addDenial(access: Step, path: string): void {
    const seen = this.#addStatus(flag("AT_FDCWD"), path, access.does);
    this.program.add({
      ...access,
      explain: (traces) => {
        const cause = causeOfDenial(seen(traces));
        return cause === undefined ? undefined : `${access.errors!.EACCES}: ${cause}`;
      },
    });
  }

  /** Steps that ask for mode and mount of a path, or of a descriptor with an empty one. */
  #addStatus(from: ReturnType<typeof flag> | Slot, path: string, does: string) {
    const status = room(statx.bytes, "&statx");
    const mount = room(statfsBytes, "&statfs");
    const stat: Step = {
      call: "statx",
      args: [from, path, path === "" ? flag("AT_EMPTY_PATH") : 0, 0x7ff, /* STATX_BASIC_STATS */ status],
      does,
      allow: "any",
    };
    const system: Step = from instanceof Slot
      ? { call: "fstatfs", args: [from, mount], does, allow: "any" }
      : { call: "statfs", args: [path, mount], does, allow: "any" };
    this.program.add(stat);
    this.program.add(system);
    return (traces: Traces) => {
      const mode = new DataView(traces.bytesOf(status).buffer).getUint16(statx.mode, true);
      const mountFlags = new DataView(traces.bytesOf(mount).buffer).getUint32(statfsFlags, true);
      return {
        mode: traces.resultOf(stat) < 0 ? undefined : mode,
        onNoexec: traces.resultOf(system) === 0 && (mountFlags & flags("MS_NOEXEC")) !== 0,
      };
    };
  }

  /** Directories may be "executable" as well: the right to search them. */
  #refuseDirectory(): void {
    const { name, arch } = this.options;
    const quoted = JSON.stringify(name);
    this.program.add({
      call: "openat2",
      args: [flag("AT_FDCWD"), name, openHow(arch, ["O_PATH", "O_DIRECTORY", "O_CLOEXEC"], []), openHowSize],
      does: `find ${quoted}`,
      allow: ["ENOTDIR"],
      expect: -1,
      // Callers take the exit code from these words: older runc's and docker's are the last ones.
      unexpected: `exec: ${quoted}: is a directory: permission denied`,
    });
  }

  /**
   * Executes the first that can be; where none can, looks at the first that is there, and fails with what is wrong with
   * it. Where nobody may be left to tell of that, the process `says` on standard error what runc's would.
   */
  addExec(says: boolean): void {
    const { program } = this;
    const attempts = this.#candidates.map((path, index): Step => ({
      call: "execve",
      args: [path, this.#argv, this.#env],
      does: `exec ${path}`,
      allow: index < this.#candidates.length - 1 ? searchOn : explained,
    }));
    for (const attempt of attempts) program.add(attempt);
    const file = new Slot("file");
    const found = new Label("look");
    const does = "look why the command cannot be executed";
    const opens = this.#candidates.map((path): Step => ({
      call: "openat",
      args: [flag("AT_FDCWD"), path, flag("O_RDONLY", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC"), 0],
      does,
      allow: "any",
      then: found,
      into: file,
    }));
    for (const open of opens) program.add(open);
    // Not one that can be read.
    program.add({ ...attempts.at(-1)!, allow: [] });
    program.bind(found);
    const head = room(headBytes, "&head");
    const read: Step = { call: "read", args: [file, head, headBytes], does, allow: "any" };
    program.add(read);
    const seen = this.#addStatus(file, "", does);
    if (says) this.#addWords(file);
    program.add({
      call: "execveat",
      args: [file, "", this.#argv, this.#env, flag("AT_EMPTY_PATH")],
      does: attempts[0]!.does,
      explain: (traces) => {
        const index = opens.findIndex((open) => traces.resultOf(open) > 0);
        const error = -traces.resultOf(attempts[index]!);
        const length = Math.max(traces.resultOf(read), 0);
        const looked = { ...seen(traces), head: traces.bytesOf(head).subarray(0, length) };
        const cause = causeOfExecFailure(errnoName(error), looked, this.options.arch);
        return `exec ${this.#candidates[index]}: ${errnoText(error)}${cause === undefined ? "" : `: ${cause}`}`;
      },
    });
  }

  /** Attempts that differ in nothing but the error at which they go on, with that error's words. */
  #addWords(file: Slot): void {
    const { program } = this;
    const { name } = this.options;
    const path = this.#candidates.length === 1 ? this.#candidates[0] : undefined;
    const does = "say that the command cannot be executed";
    const done = new Label("said");
    const attempt: Pick<Step, "call" | "args"> = path === undefined
      ? { call: "execveat", args: [file, "", this.#argv, this.#env, flag("AT_EMPTY_PATH")] }
      : { call: "execve", args: [path, this.#argv, this.#env] };
    const labels = new Map(explained.map((error) => [error, new Label(`say_${error}`)]));
    for (const [error, to] of labels) {
      program.add({ ...attempt, does, allow: "any", branch: { on: -errnoNumber(error), to } });
    }
    program.add({ call: "getpid", args: [], does, then: done });
    for (const [error, label] of labels) {
      program.bind(label);
      const message = text(`exec ${name}: ${errnoText(errnoNumber(error))}\n`);
      program.add({ call: "write", args: [2, message, message.bytes.length - 1], does, allow: "any", then: done });
    }
    program.bind(done);
  }
}
