/**
 * Whole trees are removed by `ffi/remove_tree.ts` only: Deno's own way recurses on the native stack, which a tree that a
 * container has made deep enough overflows, and it enters mounts.
 *
 * @module
 */
import type { SourceFile } from "./source_file.ts";

/** Deno's and Node's removal of trees, also over several lines. */
const recursive = /\b(?:Deno\.remove(?:Sync)?|rm(?:Sync|dir|dirSync)?)\((?:[^;]|\n)*?\brecursive\b/g;

/** Where the trees are the developer's own. */
const exempt = /^(?:tests|tools|bench)\/|_(?:test|fixture|suite)\.ts$/;

/** The recursive removals in the file. */
export function checkRemovals({ path, text }: SourceFile): string[] {
  if (!path.endsWith(".ts") || exempt.test(path)) return [];
  return [...text.matchAll(recursive)].map(({ index, 0: found }) => {
    const line = text.slice(0, index).split("\n").length;
    return `line ${line}: "${found.slice(0, found.indexOf("(") + 1)}…)" removes a tree by recursion: use removeTree()`;
  });
}
