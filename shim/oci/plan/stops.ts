/**
 * Places in a plan where the new process reports and waits for a byte, while the runtime does what only it can.
 *
 * @module
 */
import { type Data, type Program, room, type Slot } from "../../../ffi/program/program.ts";
import type { HomeStop } from "./home.ts";

/** What the runtime does at a stop. Descriptors are the waiting process's own. */
export type Stop =
  /** Starts the systemd unit of the container's cgroups, with the waiting process in it. */
  | { kind: "unit" }
  /** Writes the maps of the user namespace, and sets limits that only the host's root may raise. */
  | { kind: "id maps" }
  /** Copies what the image has into memory file systems that cover it, then runs hooks. */
  | { kind: "hooks"; copies: readonly { from: Slot; to: Slot; does: string }[] }
  /** Finds the home directory of the process's user. */
  | HomeStop
  /** Gives the descriptor of the seccomp filter, which is on from here, to the listener. */
  | { kind: "listener"; descriptor: Slot };

/** The stops of one program, in order. */
export class Stops {
  readonly list: Stop[] = [];

  /** @param report where the process says that it has come to a stop; `go` is where it waits. */
  constructor(readonly program: Program, readonly report: number, readonly go: number | undefined) {}

  /** Adds a stop. The byte that ends the wait is written to `answer`. */
  add(stop: Stop, waitsFor: string, answer: Data = room(8, "&byte")): void {
    if (this.go === undefined) throw new TypeError("a plan with stops needs the descriptor to wait on");
    this.list.push(stop);
    addWait(this.program, this.report, this.go, waitsFor, answer);
  }
}

/** Steps that report and wait for a byte. */
export function addWait(
  program: Program,
  report: number,
  go: number,
  waitsFor: string,
  answer: Data = room(8, "&byte"),
): void {
  const does = `wait for ${waitsFor}`;
  program.add({ call: "write", args: [report, "s", 1], does, expect: 1 });
  program.add({ call: "read", args: [go, answer, 1], does, expect: 1 });
}
