/**
 * Starts shims, asks their programs to clean up, and asks them what they are.
 *
 * @module
 */
import { Failure, isFailure, messageOf } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { DeleteResponse } from "../../api/gen/runtime/task/v3/shim.ts";
import { RuntimeInfo } from "../../api/gen/types/introspection.ts";
import type { Logger } from "../log/logger.ts";
import { parseEndpoint } from "./bootstrap.ts";
import type { Bundle } from "./bundle.ts";
import type { OwnShims, StartedShim } from "./own_shims.ts";
import { findShim, type ShimPlaces, shimPlacesNow } from "./runtime_name.ts";
import {
  lingers,
  type ProgramOutput,
  runShim,
  shimArguments,
  shimEnvironment,
  type ShimSubject,
  type ShimSurroundings,
} from "./shim_program.ts";
import { type StartForm, StartForms, startInput, wantsMessage } from "./start_forms.ts";

/** A shim prints its address when it listens; this is for hosts that are out of memory or disk. */
const startMsMax = 60_000;
const infoMsMax = 10_000;
/** Programs that clean up at the same time: a shim with many containers may have died. */
const cleanersMax = 4;

/** Starts and ends shims as programs. */
export class ShimLauncher implements Disposable {
  readonly #surroundings: ShimSurroundings;
  readonly #log: Logger;
  readonly #places: ShimPlaces;
  readonly #own: OwnShims | undefined;
  readonly #found = new Map<string, string>();
  readonly #forms = new StartForms();
  #cleaners = 0;
  readonly #waiting: (() => void)[] = [];

  /** `own` starts barge's own shims; without it they are started as all others are. */
  constructor(surroundings: ShimSurroundings, log: Logger, own?: OwnShims, places: ShimPlaces = shimPlacesNow()) {
    this.#surroundings = surroundings;
    this.#log = log;
    this.#own = own;
    this.#places = places;
  }

  /** Keeps one of barge's own shims ahead where there is the program, started while nobody is busy. */
  keepSpare(isBusy: () => boolean): void {
    let program: string;
    try {
      program = this.programOf(ownRuntime);
    } catch (error) {
      return this.#log.debug("no shim is started ahead", { reason: messageOf(error) });
    }
    this.#own?.keepSpare(program, isBusy);
  }

  /** Path of the program of a runtime. Throws as `findShim`. */
  programOf(runtime: string): string {
    let program = this.#found.get(runtime);
    if (program === undefined) {
      program = findShim(runtime, this.#places);
      this.#found.set(runtime, program);
    }
    return program;
  }

  /** Whether one shim of that program holds all containers of a namespace that have the same options. */
  sharesShims(program: string): boolean {
    return lingers(program) && shimEnvironment(program, this.#surroundings, "")["BARGE_SHIM_GROUP"] === "namespace";
  }

  /**
   * Starts a shim, or finds one that takes the task as well. `options` are the runtime's; `deposit` is the socket where
   * barge's own leave what their successors need, empty without one. Throws `Unknown` with what the program wrote,
   * `DeadlineExceeded`, and as {@link parseEndpoint} and {@link OwnShims}.
   */
  async start(
    program: string,
    bundle: Bundle,
    options: Any | undefined,
    deposit: string,
    signal: AbortSignal,
  ): Promise<StartedShim> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(startMsMax)]);
    return lingers(program) && await this.#own?.start(program, bundle, options, deposit, limit) ||
      await this.#startByProgram(program, bundle, options, limit);
  }

  async #startByProgram(
    program: string,
    bundle: Bundle,
    options: Any | undefined,
    signal: AbortSignal,
  ): Promise<StartedShim> {
    const subject = subjectOf(bundle);
    const start = (form: StartForm): Promise<ProgramOutput> =>
      runShim(program, shimArguments(this.#surroundings, subject, "start"), {
        directory: subject.directory,
        env: shimEnvironment(program, this.#surroundings, subject.namespace),
        input: startInput(form, this.#surroundings, subject, options),
        signal,
      });
    // Barge's own takes both.
    const form = lingers(program)
      ? "options"
      : await this.#forms.of(program, () => this.#ask(program, options, signal));
    const { stdout, stderr } = await start(form).catch((error) => {
      if (form === "message" || !wantsMessage(error)) throw error;
      this.#forms.note(program, "message");
      return start("message");
    });
    // What was written besides the answer is a part of it for containerd, which makes the address unusable.
    if (stderr.trim() !== "") this.#log.warn("shim wrote to standard error", { id: bundle.id, text: stderr.trim() });
    return { endpoint: parseEndpoint(stdout) };
  }

  /**
   * Lets the program clean up what a dead shim left: processes, mounts, the runtime's state. Gives the exit that it tells.
   * Throws `Unknown` with what it wrote, and `DeadlineExceeded`.
   */
  async clean(program: string, bundle: Bundle, msMax: number): Promise<DeleteResponse> {
    const subject = subjectOf(bundle);
    if (this.#cleaners === cleanersMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#cleaners++;
    try {
      const { stdout, stderr } = await runShim(program, shimArguments(this.#surroundings, subject, "delete"), {
        directory: subject.directory,
        env: shimEnvironment(program, this.#surroundings, subject.namespace),
        signal: AbortSignal.timeout(msMax),
      });
      if (stderr !== "") this.#log.warn("cleanup warnings", { id: bundle.id, text: stderr.trim() });
      return DeleteResponse.decode(stdout);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#cleaners--;
      else next();
    }
  }

  /** What a runtime says of itself; `options` are told to it. Throws `NotImplemented` where it does not know how. */
  async info(runtime: string, options: Any | undefined, signal: AbortSignal): Promise<RuntimeInfo> {
    const program = this.programOf(runtime === "" ? "io.containerd.runc.v2" : runtime);
    try {
      return await this.#ask(program, options, signal);
    } catch (error) {
      if (!isFailure(error, "Unknown")) throw error;
      const text = `failed to run [${program} -info]: ${messageOf(error)}`;
      // Go's flag package says so of a flag that a program has not.
      const unknown = messageOf(error).includes("flag provided but not defined");
      throw new Failure(unknown ? "NotImplemented" : "Unknown", text, { cause: error });
    }
  }

  async #ask(program: string, options: Any | undefined, signal: AbortSignal): Promise<RuntimeInfo> {
    const { stdout } = await runShim(program, ["-info"], {
      directory: "/",
      env: shimEnvironment(program, this.#surroundings, "default"),
      input: options === undefined ? undefined : Any.encode(options).finish(),
      signal: AbortSignal.any([signal, AbortSignal.timeout(infoMsMax)]),
    });
    return RuntimeInfo.decode(stdout);
  }

  /** Ends the shim that was started ahead; all others are left as they are. */
  [Symbol.dispose](): void {
    this.#own?.[Symbol.dispose]();
  }
}

/** The runtime whose shim is barge's own. */
const ownRuntime = "io.containerd.ts.v2";

function subjectOf({ namespace, id, path }: Bundle): ShimSubject {
  return { namespace, id, directory: path };
}
