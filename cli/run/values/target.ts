/**
 * Paths inside the container.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** The absolute path without `.`, `..`, doubled and final slashes; `..` at the root stays there. */
export function cleanAbsolute(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return "/" + parts.join("/");
}

/** A place for a mount: absolute, clean and not the root. Throws `InvalidArgument` where it is none. */
export function parseTarget(path: string): string {
  if (!path.startsWith("/")) {
    throw new Failure("InvalidArgument", `want an absolute path inside the container, not ${JSON.stringify(path)}`);
  }
  const clean = cleanAbsolute(path);
  if (clean === "/") {
    throw new Failure("InvalidArgument", "want a path below the container's root, not the root itself");
  }
  return clean;
}
