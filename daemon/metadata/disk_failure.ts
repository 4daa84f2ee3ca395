/**
 * Sentences for what a disk refuses or has lost: full, read-only, broken, not permitted, damaged.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";

/**
 * The error as a {@link Failure} that says what the user can do, where the disk is the reason; any other error as it
 * is. `action` begins the sentence ("store blob sha256:…"), `place` is the path that the user knows.
 */
export function diskFailure(error: unknown, action: string, place: string): unknown {
  if (error instanceof Failure) return error;
  const options = { cause: error };
  switch (diskReason(error)) {
    case "full":
      return new Failure("ResourceExhausted", `${action}: no space left on the disk that holds "${place}"`, options);
    case "read-only":
      return new Failure("FailedPrecondition", `${action}: "${place}" is on a read-only file system`, options);
    case "denied":
      return new Failure(
        "PermissionDenied",
        `${action}: no permission to write to "${place}": run barge as root, or choose a directory of your own with --root`,
        options,
      );
    case "broken": {
      const advice = "the kernel's log says more";
      return new Failure(
        "Internal",
        `${action}: the disk that holds "${place}" fails (input/output error): ${advice}`,
        options,
      );
    }
    case "damaged": {
      const advice = "stop the daemon, and see with barge doctor what can be saved";
      return new Failure("DataLoss", `${action}: "${place}" is damaged (${messageOf(error)}): ${advice}`, options);
    }
    case undefined:
      return error;
  }
}

/** What of a disk made an operation fail. */
export type DiskReason = "full" | "read-only" | "broken" | "denied" | "damaged";

/** Why the disk refused, where it is the disk that did. */
export function diskReason(error: unknown): DiskReason | undefined {
  // Deno's and the kernel's errors carry the errno's name; SQLite's are told apart by their text only.
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT") return "full";
  if (code === "EROFS") return "read-only";
  if (code === "EIO" || code === "ESHUTDOWN") return "broken";
  if (code === "EACCES" || code === "EPERM") return "denied";
  if (code !== "ERR_SQLITE_ERROR") return undefined;
  const text = messageOf(error);
  if (text.includes("disk is full")) return "full";
  if (text.includes("readonly database")) return "read-only";
  if (text.includes("disk I/O error")) return "broken";
  if (text.includes("malformed") || text.includes("not a database")) return "damaged";
  return undefined;
}
