/**
 * Where a path ends up inside a root file system, symbolic links included.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { attempt } from "../../ffi/syscall.ts";
import { components } from "./plan/paths.ts";

/** As many links as the kernel follows in one path. */
const linksMax = 40;

/** What the link at a path of the root says; undefined where there is no link. The directories above it are none. */
export type LinkReader = (path: string) => string | undefined;

/**
 * The path without links, as if the root were the root directory; what does not exist is taken as it stands, also behind
 * a link that leads nowhere. Only a hint: the file system may change, and whoever uses the path resolves it safely again.
 */
export function resolveLinks(path: string, linkAt: LinkReader): string {
  const waiting = components(path).reverse();
  let resolved: string[] = [];
  for (let links = 0; waiting.length > 0;) {
    const part = waiting.pop()!;
    if (part === "..") {
      resolved.pop();
      continue;
    }
    const target = links < linksMax ? linkAt(`/${[...resolved, part].join("/")}`) : undefined;
    if (target === undefined) {
      resolved.push(part);
      continue;
    }
    links++;
    if (target.startsWith("/")) resolved = [];
    waiting.push(...target.split("/").filter((name) => name !== "" && name !== ".").reverse());
  }
  return `/${resolved.join("/")}`;
}

/** The same for a root that is a directory. */
export function resolveInRoot(root: string, path: string): string {
  return resolveLinks(path, linksBelow(root));
}

const buffer = new Uint8Array(4096);
const decoder = new TextDecoder();

/** Reads the links of a root that is a directory. */
export function linksBelow(root: string): LinkReader {
  return (path) => {
    const length = attempt("readlinkat", flags("AT_FDCWD"), `${root}${path}`, buffer, buffer.length);
    return length < 0 ? undefined : decoder.decode(buffer.subarray(0, length));
  };
}
