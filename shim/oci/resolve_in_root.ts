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

/**
 * The path without links, as if `root` were the root directory; what does not exist is taken as it stands, also behind a
 * link that leads nowhere. Only a hint: the file system may change, and whoever uses the path resolves it safely again.
 */
export function resolveInRoot(root: string, path: string): string {
  const waiting = components(path).reverse();
  let resolved: string[] = [];
  for (let links = 0; waiting.length > 0;) {
    const part = waiting.pop()!;
    if (part === "..") {
      resolved.pop();
      continue;
    }
    const target = links < linksMax ? linkTarget(`${root}/${[...resolved, part].join("/")}`) : undefined;
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

const buffer = new Uint8Array(4096);
const decoder = new TextDecoder();

/** What a link says; undefined where there is no link. */
function linkTarget(path: string): string | undefined {
  const length = attempt("readlinkat", flags("AT_FDCWD"), path, buffer, buffer.length);
  return length < 0 ? undefined : decoder.decode(buffer.subarray(0, length));
}
