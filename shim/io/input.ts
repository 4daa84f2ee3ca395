/**
 * Where a container's standard input comes from.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { holdForReading } from "../../ffi/fifo.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { canBeWatched, reason } from "./target.ts";

/** An input that was opened. */
export interface Input {
  readonly from: Descriptor;
  readonly kind: "pipe" | "file";
  /**
   * The writer that keeps a FIFO from ending when its client leaves; another one may come. Once it is closed the input
   * ends behind the last client.
   */
  readonly held: Descriptor | undefined;
}

/** Says at once what {@link openInput} would say of a path with nothing behind it. Throws as it does. */
export function checkInput(path: string): void {
  try {
    Deno.statSync(path);
  } catch (error) {
    throw failure(path, error);
  }
}

/** Opens a FIFO, or whatever else the path is; never waits for a client. Throws `Unknown` with containerd's wording. */
export function openInput(reactor: Reactor, path: string): Input {
  try {
    if (Deno.statSync(path).isFifo) {
      const { used, held } = holdForReading(path);
      return { from: used, kind: "pipe", held };
    }
    const from = openFile(path, flags("O_RDONLY", "O_NONBLOCK", "O_NOCTTY"));
    return { from, kind: canBeWatched(reactor, from) ? "pipe" : "file", held: undefined };
  } catch (error) {
    throw failure(path, error);
  }
}

function failure(path: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const why = error instanceof Deno.errors.NotFound ? `open ${path}: no such file or directory` : reason(error, path);
  return new Failure("Unknown", `containerd-shim: opening ${path} failed: ${why}`, { cause: error });
}
