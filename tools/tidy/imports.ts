/**
 * Reads the imports of a module.
 *
 * The files are formatted by `deno fmt`, so that a static import or export begins its line and its specifier stands in
 * double quotes: regular expressions are enough, and a thousand files take a tenth of a second.
 *
 * @module
 */
import type { SourceFile } from "./source_file.ts";

/** One `import`, `export … from`, `import()` or `new URL("….ts", import.meta.url)`. */
export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** Whether the module is loaded only when the code comes by. */
  readonly dynamic: boolean;
  /** Whether only types are imported, which leaves nothing at run time. */
  readonly typeOnly: boolean;
  /** Counted from 1. */
  readonly line: number;
}

const patterns: readonly { pattern: RegExp; dynamic: boolean }[] = [
  { pattern: /^(?:import|export)\b[^"'`;]*?\bfrom "([^"]+)"/gm, dynamic: false },
  { pattern: /^import "([^"]+)"/gm, dynamic: false },
  { pattern: /\bimport\(\s*"([^"]+)",?\s*\)/g, dynamic: true },
  { pattern: /\bnew URL\("([^"]+\.ts)", import\.meta\.url\)/g, dynamic: true },
];

/** Whether the place is in a line of comment. */
function inComment(text: string, index: number): boolean {
  const line = text.slice(text.lastIndexOf("\n", index - 1) + 1, index).trimStart();
  return line.startsWith("*") || line.startsWith("/*") || line.startsWith("//");
}

/** All imports of the module, in no particular order. Types in `import("…")` position count as dynamic. */
export function importsOf({ text }: SourceFile): Import[] {
  const found: Import[] = [];
  for (const { pattern, dynamic } of patterns) {
    for (const match of text.matchAll(pattern)) {
      if (inComment(text, match.index)) continue;
      found.push({
        specifier: match[1]!,
        dynamic,
        typeOnly: /^(?:import|export) type\b/.test(match[0]),
        line: text.slice(0, match.index).split("\n").length,
      });
    }
  }
  return found;
}

/** Path below the root of the module that a relative specifier names; undefined for `node:`, `npm:` and the like. */
export function targetOf(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, `file:///${path}`).pathname.slice(1);
}
