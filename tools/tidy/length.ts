/**
 * A module is one thing; one of many hundred lines is not.
 *
 * @module
 */
import { isTest, isWrittenModule, type SourceFile } from "./source_file.ts";

/** Lines of a module. Past 400 one looks for the seam; the limit leaves some room to do so in peace. */
export const linesMax = 450;
/** Columns; `deno fmt` wraps at 120, but leaves long strings and comments alone. Names of tests are sentences. */
const columnsMax = 140;

/** Whether the file is too long, or a line of it too wide to be read in a diff. */
export function checkLength(file: SourceFile): string[] {
  if (!isWrittenModule(file)) return [];
  const lines = file.text.split("\n");
  const problems = lines.length - 1 > linesMax
    ? [`${lines.length - 1} lines: more than ${linesMax}, look for the seam`]
    : [];
  if (isTest(file)) return problems;
  lines.forEach((line, index) => {
    if (line.length > columnsMax) problems.push(`line ${index + 1}: ${line.length} columns: more than ${columnsMax}`);
  });
  return problems;
}
