/**
 * Exits on disk: written at once, so that they outlive the shim.
 *
 * @module
 */
import { readTextIfThere } from "../../ffi/if_there.ts";

/** How a process ended. */
export interface Exit {
  /** The code, or 128 + signal. */
  readonly status: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

interface Line extends Exit {
  readonly id: string;
  readonly pid: number;
}

const fileName = "exits.json";

/** Appends an exit to the bundle's file; one line each. `id` is the container's or the exec's. */
export function recordExit(bundle: string, id: string, pid: number, exit: Exit): void {
  const line: Line = { id, pid, ...exit };
  Deno.writeTextFileSync(`${bundle}/${fileName}`, JSON.stringify(line) + "\n", { append: true, mode: 0o600 });
}

/** The recorded exit of a process; undefined where it has not ended while a shim was there. */
export function recordedExit(bundle: string, id: string): (Exit & { readonly pid: number }) | undefined {
  const text = readTextIfThere(`${bundle}/${fileName}`) ?? "";
  return text.split("\n").filter((line) => line.endsWith("}")).map(parseLine).findLast((line) => line.id === id);
}

function parseLine(text: string): Line {
  // Written by this module alone.
  return JSON.parse(text) as Line;
}
