/**
 * Names of containers and hosts, and the user.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { cleanAbsolute } from "./target.ts";

/** A container's name. Throws `InvalidArgument` for what could not be a file name everywhere. */
export function parseContainerName(text: string): string {
  // containerd's own limit on identifiers is 76 bytes.
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,75}$/.test(text)) {
    throw new Failure(
      "InvalidArgument",
      "want at most 76 letters, digits, _, . and -, of which the first is a letter or digit",
    );
  }
  return text;
}

/** A host name (RFC 1123; the kernel takes 64 bytes). Throws `InvalidArgument`. */
export function parseHostname(text: string): string {
  const label = /^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?$/;
  if (text.length > 64 || !text.split(".").every((part) => label.test(part))) {
    throw new Failure("InvalidArgument", "want at most 64 letters, digits, - and dots, such as web-1.example");
  }
  return text;
}

/** An absolute working directory in the container, without `.` and `..`. Throws `InvalidArgument`. */
export function parseWorkingDirectory(text: string): string {
  if (!text.startsWith("/")) throw new Failure("InvalidArgument", "want an absolute path inside the container");
  return cleanAbsolute(text);
}

/** A user `NAME|UID[:GROUP|GID]`; who that is only the root file system tells. Throws `InvalidArgument`. */
export function parseUserText(text: string): string {
  if (text.split(":").length > 2 || text === ":") {
    throw new Failure("InvalidArgument", "want NAME or UID, and optionally :GROUP or :GID");
  }
  return text;
}
