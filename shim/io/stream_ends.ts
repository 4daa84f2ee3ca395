/**
 * What standard streams are made from and made of.
 *
 * @module
 */
import type { Descriptor } from "../../ffi/descriptor.ts";
import type { StdioFields } from "./stdio_plan.ts";

/** What a set of streams is made from; the fields of {@link StdioFields} are the API's. */
export interface StandardStreamsOptions extends StdioFields {
  /** For a logger's environment. */
  readonly containerId: string;
  readonly namespace: string;
  /** Owner of the pipes: the runtime options' `io_uid` and `io_gid`, or the host's ids of the container's user. */
  readonly uid: number;
  readonly gid: number;
  /** Hears of what goes wrong later: a full disk, a logger that dies. One sentence, for the shim's log. */
  readonly warn?: (text: string) => void;
  /** Hears at once when `StandardStreams.held` has become less: whoever has duplicates is to close them. */
  readonly onLess?: () => void;
  /** How long clients may take to open their FIFOs: 5 s unless it is given. */
  readonly readersMs?: number;
  /** Ends the waiting for a file system or a logger. */
  readonly signal?: AbortSignal;
}

/** Numbers of descriptors for the launch, as `shim/oci/launch.ts` takes them. */
export interface ChildStreams {
  readonly stdin: number;
  readonly stdout: number;
  readonly stderr: number;
  /** With a terminal: a connected socket that its master is sent over. */
  readonly console?: number;
}

/** This process's ends of a container's streams, for a successor: they are what its bytes are in. */
export interface ContainerEnds {
  stdin?: Descriptor;
  stdout?: Descriptor;
  stderr?: Descriptor;
  master?: Descriptor;
  /** A pidfd of the logger that reads stdout and stderr; one that shows a terminal ends with its shim. */
  logger?: Descriptor;
}

/** The container's ends, and this process's ends of the clients' FIFOs. */
export type HeldName = keyof ContainerEnds | "stdinFifo" | "stdoutFifo" | "stderrFifo";
