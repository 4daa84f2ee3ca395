/**
 * What criu's own log says of a failure.
 *
 * @module
 */
import { Failure, messageOf } from "../../../api/errors.ts";
import { CriuFailure } from "./session.ts";

/** A log with debugging lines of a large container has some megabytes; the error is at its end. */
const tailBytesMax = 1 << 20;

/** Lines that are worth repeating. */
const linesMax = 3;

/** Errors that say only that there was another. */
const general = /^((Dumping|Pre-dumping|Restoring) FAILED\.?|exited, status=\d+|.*: exited, status=\d+)$/;

/** The errors in the text of a log, each once, the first ones first: the others follow from them. */
export function errorsIn(text: string): string[] {
  const errors = text.split("\n").filter((line) => line.includes("Error (")).map((line) =>
    line.replace(/^.*?Error \([^)]*\):\s*/, "").trim()
  );
  const distinct = [...new Set(errors)];
  const particular = distinct.filter((line) => !general.test(line));
  return (particular.length === 0 ? distinct : particular).slice(0, linesMax);
}

/** The failure with what the log of criu says, and where that is. */
export function withLog(error: unknown, path: string): Failure {
  const logged = errorsIn(readTail(path));
  const errors = logged.length > 0 || !(error instanceof CriuFailure) ? logged : [error.said];
  const reason = errors.length === 0 || errors[0] === "" ? "" : `: ${errors.join("; ")}`;
  return new Failure("Aborted", `${messageOf(error)}${reason}\nlog file: ${path}`, { cause: error });
}

/** The end of a file; empty where it cannot be read, as criu may have failed before it had a log. */
function readTail(path: string): string {
  try {
    using file = Deno.openSync(path);
    const { size } = file.statSync();
    file.seekSync(Math.max(0, size - tailBytesMax), Deno.SeekMode.Start);
    const bytes = new Uint8Array(Math.min(size, tailBytesMax));
    let length = 0;
    for (let count = file.readSync(bytes); count; count = file.readSync(bytes.subarray(length))) length += count;
    return new TextDecoder().decode(bytes.subarray(0, length));
  } catch {
    return "";
  }
}
