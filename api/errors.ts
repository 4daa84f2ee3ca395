/**
 * The error model: one class with a code. It is thrown anywhere and mapped to gRPC, ttrpc or exit codes
 * once, at each edge. The codes are the ones of containerd's `errdefs`.
 *
 * @module
 */

/** What kind of failure it is; a subset of the gRPC status codes under containerd's names. */
export type Code =
  | "Unknown"
  | "InvalidArgument"
  | "NotFound"
  | "AlreadyExists"
  | "PermissionDenied"
  | "Unauthenticated"
  | "ResourceExhausted"
  | "FailedPrecondition"
  | "Aborted"
  | "OutOfRange"
  | "NotImplemented"
  | "Internal"
  | "Unavailable"
  | "DataLoss"
  | "DeadlineExceeded"
  | "Canceled";

/**
 * An operating error: something outside the program is not as it should be.
 *
 * The message is one sentence without a final period that names the action, the object as the user knows it,
 * what is, and what would be right. The original error stays in `cause`.
 */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Whether `error` is a {@link Failure} with this code. */
export function isFailure(error: unknown, code: Code): error is Failure {
  return error instanceof Failure && error.code === code;
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * The failure that came first, where cleaning up after it failed as well: a full disk refuses that too, and what was
 * not cleaned up is left to the next process that looks.
 */
export function originalOf(error: unknown): unknown {
  let original = error;
  while (original instanceof SuppressedError) original = original.suppressed;
  return original;
}
