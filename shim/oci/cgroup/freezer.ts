/**
 * Freezing and thawing all processes of a cgroup.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { readControlIfThere, writeControl } from "./control_file.ts";

/** Time between two looks at a cgroup that is about to freeze. */
const stepMs = 1;

/**
 * Version 1 can stay half frozen for ever, when one process waits for another that is frozen already. A thaw in between
 * lets it come out; runc does it as often.
 */
const stepsBetweenThaws = 50;

/** The freezer of one cgroup. The kernel freezes its children with it. */
export interface Freezer {
  /** Asks the kernel to freeze; does not wait. */
  begin(): void;
  /** Whether all processes are frozen by now. */
  isDone(): boolean;
  /** Whether this cgroup was asked to freeze; that of a parent does not count. */
  wasAsked(): boolean;
  thaw(): void;
}

/** The freezer of a directory of either version; false from its questions where the directory is gone. */
export function freezerOf(directory: string, version: 1 | 2): Freezer {
  return version === 1 ? new FreezerV1(directory) : new FreezerV2(directory);
}

/** Linux: admin-guide/cgroup-v1/freezer-subsystem. */
class FreezerV1 implements Freezer {
  constructor(readonly directory: string) {}

  begin(): void {
    writeControl(`${this.directory}/freezer.state`, "FROZEN");
  }

  isDone(): boolean {
    return readControlIfThere(`${this.directory}/freezer.state`) === "FROZEN";
  }

  wasAsked(): boolean {
    const state = readControlIfThere(`${this.directory}/freezer.state`);
    if (state === undefined || state === "THAWED") return false;
    return readControlIfThere(`${this.directory}/freezer.self_freezing`) === "1";
  }

  thaw(): void {
    writeControl(`${this.directory}/freezer.state`, "THAWED");
  }
}

/** Linux 5.2 and later: admin-guide/cgroup-v2. */
class FreezerV2 implements Freezer {
  constructor(readonly directory: string) {}

  begin(): void {
    writeControl(`${this.directory}/cgroup.freeze`, "1");
  }

  isDone(): boolean {
    return /^frozen 1$/m.test(readControlIfThere(`${this.directory}/cgroup.events`) ?? "");
  }

  wasAsked(): boolean {
    return readControlIfThere(`${this.directory}/cgroup.freeze`) === "1";
  }

  thaw(): void {
    writeControl(`${this.directory}/cgroup.freeze`, "0");
  }
}

/** Freezes and waits until all processes are. On failure they are thawed. Throws `DeadlineExceeded`. */
export async function freezeAndWait(freezer: Freezer, name: string, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  freezer.begin();
  for (let step = 1; !freezer.isDone(); step++) {
    if (performance.now() >= end) {
      freezer.thaw();
      throw new Failure(
        "DeadlineExceeded",
        `cannot freeze the cgroup "${name}": some process did not stop for ${timeoutMs} ms`,
      );
    }
    if (step % stepsBetweenThaws === 0) freezer.thaw();
    await new Promise((resolve) => setTimeout(resolve, stepMs));
    // For version 1 every write is a new attempt; for version 2 it changes nothing.
    freezer.begin();
  }
}
