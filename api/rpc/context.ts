/**
 * What a service knows of the call that it answers.
 *
 * @module
 */
import { Failure } from "../errors.ts";
import { checkIdentifier } from "../identifier.ts";

/** First value of each key, keys in lower case. Values of keys that end in `-bin` are base64 text. */
export type Metadata = ReadonlyMap<string, string>;

/** Who calls. */
export interface Peer {
  /** Such as `unix` or `127.0.0.1:4711`. */
  readonly address: string;
  /** Of the process that connected, where the socket tells. */
  readonly credentials?: { readonly pid: number; readonly uid: number; readonly gid: number };
}

/** One call, as its handler sees it. */
export interface CallContext {
  readonly metadata: Metadata;
  /** Aborted when the caller gave up or went away, the deadline is over, or the server ends. */
  readonly signal: AbortSignal;
  readonly peer: Peer;
}

/** Metadata keys of containerd on gRPC; the ttrpc adapter translates its own spelling to these. */
export const namespaceKey = "containerd-namespace";
/** See {@link namespaceKey}. */
export const leaseKey = "containerd-lease";

/**
 * The namespace that the caller works in. Throws `FailedPrecondition` without one, `InvalidArgument` for a bad name, in
 * containerd's words.
 */
export function namespaceOf({ metadata }: CallContext): string {
  const namespace = metadata.get(namespaceKey);
  if (namespace === undefined || namespace === "") throw new Failure("FailedPrecondition", "namespace is required");
  try {
    checkIdentifier(namespace);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure("InvalidArgument", `namespace validation: ${error.message}`, { cause: error });
  }
  return namespace;
}

/** The lease that is to hold what the call makes, where there is one. Whether it exists is not looked at. */
export function leaseOf({ metadata }: CallContext): string | undefined {
  const lease = metadata.get(leaseKey);
  return lease === "" ? undefined : lease;
}
