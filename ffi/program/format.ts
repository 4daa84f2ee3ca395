/**
 * Prints a program the way strace prints system calls.
 *
 * @module
 */
import { describeProgram, type StepDescription } from "./describe.ts";
import type { Program } from "./program.ts";

function formatStep({ call, args, result, expects, branch, then, mayFail, otherwise }: StepDescription): string {
  if (call === "return") return call;
  let line = result === undefined ? "" : `$${result} = `;
  line += `${call}(${args.join(", ")})`;
  if (expects !== undefined) line += ` = ${expects}`;
  if (branch !== undefined) line += ` → ${branch.to} on ${branch.on}`;
  if (then !== undefined) line += ` → ${then}`;
  if (mayFail !== undefined) {
    const errors = mayFail === "any" ? "any error" : mayFail.join(" ");
    line += ` [${errors}${otherwise === undefined ? "" : ` → ${otherwise}`}]`;
  }
  return line;
}

/**
 * One line a step; labels stand on lines of their own, and a comment tells what a group of steps is for. Errors in
 * brackets do not end the program. `names` says what the descriptors are that have fixed numbers.
 */
export function formatProgram(program: Program, names?: ReadonlyMap<number, string>): string {
  let lines = "";
  let purpose = "";
  for (const step of describeProgram(program, names)) {
    for (const label of step.labels ?? []) lines += `${label}:\n`;
    if (step.call !== "return" && step.does !== purpose) {
      purpose = step.does;
      lines += `# ${purpose}\n`;
    }
    lines += `  ${formatStep(step)}\n`;
  }
  return lines;
}
