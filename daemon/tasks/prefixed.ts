/**
 * Failures with a few words before theirs, as containerd wraps them.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";

/** The same failure with the prefix; an aborted call's reason stays as it is. */
export function prefixed(prefix: string, error: unknown): unknown {
  if (error instanceof Failure) return new Failure(error.code, `${prefix}${error.message}`, { cause: error });
  if (error instanceof DOMException) return error;
  return new Failure("Unknown", `${prefix}${messageOf(error)}`, { cause: error });
}

/** What the body gives. Throws what it throws, as {@link prefixed}. */
export function prefixing<T>(prefix: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw prefixed(prefix, error);
  }
}
