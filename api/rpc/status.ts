/**
 * Failures as status codes and texts of gRPC and ttrpc, and back: the one place where they are translated.
 *
 * @module
 */
import { type Code, Failure, messageOf, originalOf } from "../errors.ts";

/** Numbers of the gRPC status codes. */
export const statusCodes: Readonly<Record<Code, number>> = {
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  NotImplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
};

const codesByNumber = new Map(Object.entries(statusCodes).map(([code, number]) => [number, code as Code]));

/** The class texts that containerd's messages end in and its clients strip. */
const classTexts: Readonly<Partial<Record<Code, string>>> = {
  InvalidArgument: "invalid argument",
  NotFound: "not found",
  AlreadyExists: "already exists",
  PermissionDenied: "permission denied",
  ResourceExhausted: "resource exhausted",
  FailedPrecondition: "failed precondition",
  Aborted: "aborted",
  OutOfRange: "out of range",
  NotImplemented: "not implemented",
  Internal: "internal",
  Unavailable: "unavailable",
  DataLoss: "data loss",
  Unauthenticated: "unauthenticated",
};

/** Endings that stand for a class of their own within FailedPrecondition, and get no other. */
const ownEndings = ["conflict", "not modified"];

/** A status as it goes over the wire. */
export interface Status {
  readonly code: number;
  readonly message: string;
}

/**
 * The status of whatever a handler threw. containerd's texts end in the class (`…: not found`): it is added where the text
 * does not end in it, and so never twice.
 */
export function statusOf(error: unknown): Status {
  const original = originalOf(error);
  const message = messageOf(original);
  if (!(original instanceof Failure)) {
    const aborted = original instanceof DOMException && original.name === "AbortError";
    if (aborted) return { code: statusCodes.Canceled, message: "context canceled" };
    if (original instanceof DOMException && original.name === "TimeoutError") {
      return { code: statusCodes.DeadlineExceeded, message: "context deadline exceeded" };
    }
    return { code: statusCodes.Unknown, message };
  }
  const text = classTexts[original.code];
  // Some texts say it in their own sentence, such as `task one not found`.
  const complete = text === undefined || message === text || message.endsWith(` ${text}`) ||
    ownEndings.some((ending) => message.endsWith(ending));
  return { code: statusCodes[original.code], message: complete ? message : `${message}: ${text}` };
}

/** The failure that a status stands for, without the class text at its end. */
export function failureOf({ code, message }: Status): Failure {
  const name = codesByNumber.get(code) ?? "Unknown";
  const text = classTexts[name];
  const ending = `: ${text}`;
  return new Failure(name, text !== undefined && message.endsWith(ending) ? message.slice(0, -ending.length) : message);
}
