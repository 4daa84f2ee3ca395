/**
 * Starts barge's own shims without their `start`: the daemon finds a place, or binds the socket itself, so that clients may
 * connect at once, and gives it to a shim that was started ahead. A stock containerd's way is `start`, which does the same
 * in a further process.
 *
 * @module
 */
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { NewShim } from "../../shim/server/find_shim.ts";
import { groupingOf, placesOf } from "../../shim/server/grouping.ts";
import type { ServerCommand } from "../../shim/server/spawn_server.ts";
import { startShim } from "../../shim/server/start_shim.ts";
import { requestedOptions } from "../../shim/task/requested_options.ts";
import { optionsKeyOf } from "../../shim/task/runtime_options.ts";
import type { Logger } from "../log/logger.ts";
import type { ShimEndpoint } from "./bootstrap.ts";
import type { Bundle } from "./bundle.ts";
import { shimEnvironment, type ShimSurroundings } from "./shim_program.ts";
import { SpareShims } from "./spare_shims.ts";

/** What {@link OwnShims} needs. */
export interface OwnShimsParts {
  readonly reactor: Reactor;
  readonly log: Logger;
  readonly surroundings: ShimSurroundings;
  /** Whether one is kept ahead. */
  readonly spare: boolean;
}

/** A shim that has a place for the container. */
export interface StartedShim {
  readonly endpoint: ShimEndpoint;
  /** Its process; undefined where it did not say. */
  readonly pid?: number;
  /** Whether it leaves what its successors need with this daemon already. */
  readonly leaves?: boolean;
}

/** Thrown where the program wants to be started as under a stock containerd. */
class NeedsStart extends Error {}

/** What `spare` is shown with until it is somebody's: room for names of two times 76 characters, and the flags. */
const room = " ".repeat(256);

/** See the module. */
export class OwnShims implements Disposable {
  readonly #parts: OwnShimsParts;
  readonly #spares: SpareShims;

  constructor(parts: OwnShimsParts) {
    this.#parts = parts;
    const { reactor, log } = parts;
    this.#spares = new SpareShims({ reactor, log, commandOf: (program) => this.#commandOf(program) });
  }

  #commandOf(program: string): ServerCommand {
    const { surroundings } = this.#parts;
    const { address, publishBinary, debug } = surroundings;
    const flags = ["-address", address, "-publish-binary", publishBinary, ...(debug ? ["-debug"] : [])];
    return {
      program,
      words: [program, ...flags, "spare", room],
      environment: new Map(Object.entries(shimEnvironment(program, surroundings, ""))),
    };
  }

  /** Keeps one of that program ahead where that is configured; it is started while nobody is busy. */
  keepSpare(program: string, isBusy: () => boolean): void {
    if (this.#parts.spare) this.#spares.keep(program, isBusy);
  }

  /**
   * Finds or starts the container's shim. Undefined where the program wants to be started by its `start`, as another
   * version's. Throws `InvalidArgument` for options of another runtime, what the shim says, and as `startShim`.
   */
  async start(
    program: string,
    bundle: Bundle,
    options: Any | undefined,
    deposit: string,
    signal: AbortSignal,
  ): Promise<StartedShim | undefined> {
    const { reactor, surroundings } = this.#parts;
    const { address, ttrpcAddress, publishBinary, debug } = surroundings;
    const { id, namespace, path } = bundle;
    const variables = shimEnvironment(program, surroundings, "");
    const grouping = groupingOf(variables["BARGE_SHIM_GROUP"]), places = placesOf(variables["BARGE_SHIM_PLACES"]);
    const given = options === undefined || options.typeUrl === "" && options.value.length === 0
      ? undefined
      : await requestedOptions(options);
    const subject = { namespace, id, bundle: path, address, ttrpcAddress, publishBinary, debug, grouping, places };
    const serve = async ({ socket, listener }: NewShim): Promise<number> => {
      try {
        const work = { subject, socket, shimCgroup: given?.shimCgroup ?? "", deposit };
        const pid = await this.#spares.serve(program, work, listener.number, signal);
        if (pid === undefined) throw new NeedsStart();
        return pid;
      } finally {
        listener.close();
      }
    };
    // The same text as `start` makes, whose shims are found, and find these.
    const optionsKey = given === undefined ? "" : optionsKeyOf(given);
    const place = { namespace, id, bundle: path, address, grouping, optionsKey };
    try {
      const shim = await startShim(reactor, place, serve, signal);
      const endpoint: ShimEndpoint = { address: shim.address, protocol: "ttrpc", version: 2 };
      return { endpoint, pid: shim.pid, leaves: shim.isNew && deposit !== "" };
    } catch (error) {
      if (error instanceof NeedsStart) return undefined;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#spares[Symbol.dispose]();
  }
}
