/**
 * Prints a program the way strace prints system calls.
 *
 * @module
 */
import { type Arg, Data, Flags, Given, type Operation, type Program, returnStep, Slot } from "./program.ts";

function formatArg(arg: Arg): string {
  if (typeof arg === "string") return JSON.stringify(arg);
  if (arg instanceof Data) return arg.shown;
  if (arg instanceof Flags) return arg.names.join("|") || "0";
  if (arg instanceof Given) return `<${arg.name}>`;
  if (arg instanceof Slot) return `$${arg.name}`;
  return arg.toString();
}

/** Arguments that are file modes or device numbers read best in octal: call → index. */
const octal: Readonly<Record<string, number>> = { mkdirat: 2, mknodat: 2, umask: 0 };

function formatOperation(operation: Operation): string {
  if (operation === returnStep) return "return";
  const { call, args, expect, branch, then, allow, otherwise, into } = operation;
  let line = into instanceof Slot ? `$${into.name} = ` : "";
  const shown = args.map((arg, index) =>
    typeof arg === "number" && octal[call] === index ? `0${arg.toString(8)}` : formatArg(arg)
  );
  line += `${call}(${shown.join(", ")})`;
  if (expect !== undefined) line += ` = ${expect}`;
  if (branch !== undefined) line += ` → ${branch.to.name} on ${branch.on}`;
  if (then !== undefined) line += ` → ${then.name}`;
  if (allow !== undefined) {
    line += ` [${allow === "any" ? "any error" : allow.join(" ")}${
      otherwise === undefined ? "" : ` → ${otherwise.name}`
    }]`;
  }
  return line;
}

/** One line a step; labels stand on lines of their own, and a comment tells what a group of steps is for. */
export function formatProgram(program: Program): string {
  const labels = new Map<number, Set<string>>();
  for (const operation of program.operations) {
    if (operation === returnStep) continue;
    for (const label of [operation.branch?.to, operation.then, operation.otherwise]) {
      if (label?.index === undefined) continue;
      if (!labels.has(label.index)) labels.set(label.index, new Set());
      labels.get(label.index)!.add(label.name);
    }
  }
  let lines = "";
  let purpose = "";
  program.operations.forEach((operation, index) => {
    for (const name of labels.get(index) ?? []) lines += `${name}:\n`;
    if (operation !== returnStep && operation.does !== purpose) {
      purpose = operation.does;
      lines += `# ${purpose}\n`;
    }
    lines += `  ${formatOperation(operation)}\n`;
  });
  return lines;
}
