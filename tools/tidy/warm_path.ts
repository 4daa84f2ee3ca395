/**
 * What a warm `barge run` and `barge oci` load: nothing that costs milliseconds of start.
 *
 * @module
 */
import { importsOf, targetOf } from "./imports.ts";
import type { SourceFile } from "./source_file.ts";

/** Personality → `node:` and `npm:` modules that it may load at once. node:sqlite costs 1.2 ms and is the store. */
const entries: Readonly<Record<string, readonly string[]>> = {
  "cli/run/run.ts": ["node:sqlite"],
  "cli/oci/oci.ts": [],
};

/** The static imports that make a start slow, with the way that leads to them. */
export function checkWarmPath(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const problems: string[] = [];
  for (const [entry, allowed] of Object.entries(entries)) {
    const ways = new Map<string, string>([[entry, entry]]);
    for (const [path, way] of ways) {
      const file = byPath.get(path);
      if (file === undefined) continue;
      for (const { specifier, dynamic, typeOnly } of importsOf(file)) {
        if (dynamic || typeOnly) continue;
        const target = targetOf(path, specifier);
        if (target !== undefined) {
          if (!ways.has(target)) ways.set(target, `${way} → ${target}`);
        } else if (!allowed.includes(specifier)) {
          problems.push(`${path}: "${specifier}" is loaded at the start of ${way}: import() it where it is needed`);
        }
      }
    }
  }
  return problems;
}
