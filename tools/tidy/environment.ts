/**
 * Programs that barge starts get its caller's environment: the installed launcher hides variables from Deno and adds its own, so
 * that Deno's idea of the environment is nobody else's.
 *
 * @module
 */
import { isTest, isWrittenModule, type SourceFile } from "./source_file.ts";

/** The one module that reads it. */
const reader = "ffi/launch.ts";

const rooms = /^(?:cli|daemon|ffi|shim)\//;

/** How far below `new Deno.Command(` its options may stand, in characters. */
const optionsMax = 400;

/** Where a program is started with Deno's own environment. */
export function checkEnvironment(file: SourceFile): string[] {
  const { path, text } = file;
  if (!isWrittenModule(file) || isTest(file) || !rooms.test(path) || path === reader || path.endsWith("_suite.ts")) {
    return [];
  }
  const problems: string[] = [];
  if (text.includes("Deno.env.toObject(")) problems.push("reads Deno's environment as a whole: use callersVariables()");
  for (const { index } of text.matchAll(/new Deno\.Command\(/g)) {
    const options = text.slice(index, index + optionsMax);
    if (/\bclearEnv: true/.test(options) && /\benv\b/.test(options)) continue;
    const line = text.slice(0, index).split("\n").length;
    problems.push(`line ${line}: starts a program with Deno's environment: give it callersVariables() and clearEnv`);
  }
  return problems;
}
