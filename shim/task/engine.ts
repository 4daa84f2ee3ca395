/**
 * What runs containers: this program's own runtime library, or another runtime's program.
 *
 * @module
 */
import type { Process } from "../../api/oci/runtime_spec.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import type { ExitStatus } from "../../ffi/process.ts";
import type { ChildStreams } from "../io/stream_ends.ts";

/** A process that was made, and is a child of this one, or of whom a dead shim has left it to. */
export interface LiveProcess {
  readonly pid: number;
  /** Open until `ended` resolves. */
  readonly pidfd: number;
  /** Resolves when it has ended and was reaped. */
  readonly ended: Promise<ExitStatus>;
  /** Its terminal, where another program has given it. */
  readonly master?: Descriptor;
  /** Why the program could not be executed, once that is known. */
  failure(): string | undefined;
}

/** What a container is restored from. */
export interface RestoreSource {
  /** Directory of the images. */
  readonly imagePath: string;
  /** Directory of criu's logs. */
  readonly workPath: string;
}

/** What a container that another process has made is doing. */
export interface AdoptedStatus {
  /** Whether init was started, or has been told to. */
  readonly started: boolean;
  readonly paused: boolean;
}

/**
 * One container. Life: `create` (or `adopt`) → `start` → any number of `exec` and the others → `delete`, once init has ended.
 * Everything throws `Failure` with the text that containerd's clients see.
 */
export interface Engine {
  /** Makes init, which waits for `start`. On failure nothing is left. */
  create(streams: ChildStreams): Promise<LiveProcess>;
  /** Takes over a container that another process has made. Throws `NotFound` where there is none. */
  adopt(): Promise<AdoptedStatus>;
  start(): Promise<void>;
  /** Makes init from a checkpoint, instead of `create` and `start`: it runs then. On failure nothing is left. */
  restore(source: RestoreSource, streams: ChildStreams): Promise<LiveProcess>;
  exec(id: string, process: Process, streams: ChildStreams): Promise<LiveProcess>;
  /** Signals init, or with `all` every process. Throws `NotFound` where it has ended. */
  kill(signal: number, all: boolean): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** `resources` is the JSON of a `LinuxResources`. */
  update(resources: string): Promise<void>;
  /** Saves all processes; the words are those of `runc checkpoint`. Unless they go on, they have ended then. */
  checkpoint(words: readonly string[]): Promise<void>;
  /** Ids on the host of all processes. */
  pids(): Promise<number[]>;
  /** Removes what is left of the container. */
  delete(): Promise<void>;
}
