/**
 * Imports point one way: cli → daemon → shim → ffi, and all may use api.
 *
 * @module
 */
import { importsOf, targetOf } from "./imports.ts";
import { isTest, isWrittenModule, roomOf, type SourceFile } from "./source_file.ts";

/** Room → the rooms that it may import from, besides itself. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  api: [],
  ffi: [],
  shim: ["api", "ffi"],
  daemon: ["api", "ffi", "shim"],
  cli: ["api", "ffi", "shim", "daemon"],
  "mod.ts": ["api", "ffi", "shim", "daemon", "cli"],
  "main.ts": ["api", "ffi", "shim", "daemon", "cli"],
};

/** Rooms that nothing depends on, so that they may look everywhere. */
const free = new Set(["tests", "tools", "bench"]);

/** What is wrong with the file's imports. */
export function checkArrows(file: SourceFile): string[] {
  if (!isWrittenModule(file)) return [];
  const room = roomOf(file.path);
  if (free.has(room)) return [];
  const allowed = arrows[room];
  if (allowed === undefined) {
    return [`"${room}" is no room of the house: modules belong to ${Object.keys(arrows).join(", ")} or tests`];
  }
  const problems: string[] = [];
  for (const { specifier, dynamic, line } of importsOf(file)) {
    const target = targetOf(file.path, specifier);
    if (room === "main.ts" && !dynamic) {
      problems.push(`line ${line}: imports "${specifier}" at once: main.ts only has import() of personalities`);
    }
    if (target === undefined) continue;
    const to = roomOf(target);
    // A unit test stands beside its module, but may use what is made for all tests.
    if (to === room || allowed.includes(to) || (isTest(file) && free.has(to))) continue;
    problems.push(
      `line ${line}: ${room} imports ${to}: it may import ${allowed.length === 0 ? "only itself" : allowed.join(", ")}`,
    );
  }
  return problems;
}
