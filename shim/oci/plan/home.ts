/**
 * Steps that look up the user's home directory where the container itself has it.
 *
 * What `/etc/passwd` leads to there is the container's to say: links, fifos, files of the kernel's, mounts of its own that
 * answer when they like. So it is the new process that opens and reads it, in the container; the runtime only looks through
 * what was read, see `answerHome`.
 *
 * @module
 */
import type { Process } from "../../../api/oci/runtime_spec.ts";
import type { Arch } from "../../../ffi/arch.ts";
import { Data, flag, Label, type Program, room, type Step } from "../../../ffi/program/program.ts";
import { setsHome } from "./environment.ts";
import { branchOnFileSystem, branchOnWord, kernelFileSystems } from "./file_system.ts";
import { openHow, openHowSize } from "./paths.ts";
import type { Stops } from "./stops.ts";

/** Bytes that are read at a time; one time is enough for most files. */
const pieceBytes = 16_384;

/** The longest path of the kernel's (PATH_MAX), with its NUL. */
const pathBytes = 4096;

/** The runtime's answer that more of the file is wanted; any other ends the reading. */
export const readOn = 0x6d;

/** A stop at which the runtime looks through a piece of `/etc/passwd`. */
export interface HomeStop {
  readonly kind: "home";
  readonly uid: number;
  /** Its result is how much has been read: 0 at the end, or where there is nothing to be read. */
  readonly read: Step;
  readonly piece: Data;
  /** struct statx of the file. */
  readonly status: Data;
  /** The variable as the process gets it, with its NUL: the root directory unless the runtime writes another. */
  readonly variable: Data;
}

/** Whether HOME has to be looked up: neither the process has it nor the facts the file. */
export function asksHome(process: Process, passwd: string | undefined): boolean {
  return passwd === undefined && !setsHome(process);
}

/** Adds the steps, and gives the variable for the environment. */
export function addHomeLookup(program: Program, uid: number, arch: Arch, stops: Stops): Data {
  const does = 'look up the home directory in "/etc/passwd"';
  const [again, told] = [new Label("read_passwd"), new Label("tell_passwd")];
  const stop: HomeStop = {
    kind: "home",
    uid,
    piece: room(pieceBytes, "&piece"),
    status: room(256, "&statx"),
    variable: new Data(new Uint8Array("HOME=".length + pathBytes), "HOME=…"),
    read: { call: "read", args: [], does, allow: "any" },
  };
  stop.variable.bytes.set(new TextEncoder().encode("HOME=/"));
  const file = program.result("passwd", {
    call: "openat2",
    args: [
      flag("AT_FDCWD"),
      "/etc/passwd",
      openHow(arch, ["O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC"], ["RESOLVE_NO_MAGICLINKS"]),
      openHowSize,
    ],
    does,
    allow: "any",
    otherwise: told,
  });
  // Nothing but regular files is taken for one, see `answerHome`.
  program.add({
    call: "statx",
    args: [file, "", flag("AT_EMPTY_PATH"), 0x7ff, stop.status],
    does,
    allow: "any",
    otherwise: told,
  });
  branchOnFileSystem(program, file, kernelFileSystems, told, does);
  program.bind(again);
  const read = Object.assign(stop.read, { args: [file, stop.piece, pieceBytes] });
  program.add(read);
  program.bind(told);
  const answer = room(8, "&answer");
  stops.add(stop, "the home directory", answer);
  branchOnWord(program, answer, readOn, again, does);
  return stop.variable;
}
