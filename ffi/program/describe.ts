/**
 * A program as data for machines: the same that {@link file://./format.ts} prints for people.
 *
 * @module
 */
import { formatArguments } from "./arguments.ts";
import { type Label, type Operation, type Program, returnStep, Slot } from "./program.ts";

/** One step. What is not there does not apply. */
export interface StepDescription {
  /** Names of this step for others that go on here. */
  readonly labels?: readonly string[];
  /** What it does, in words. */
  readonly does: string;
  /** The system call, or `return`: the end of the runtime's own part. */
  readonly call: string;
  /** The arguments as text: `$name` is the result of an earlier step, `<name>` a number that is known at the start. */
  readonly args: readonly string[];
  /** Name of the result, for later steps. */
  readonly result?: string;
  /** The only good result. */
  readonly expects?: number;
  /** On this result the program goes on at the label. */
  readonly branch?: { readonly on: number; readonly to: string };
  /** Label where the program goes on after success, instead of the next step. */
  readonly then?: string;
  /** Errors that do not end the program. */
  readonly mayFail?: readonly string[] | "any";
  /** Label where it goes on after one of those, instead of the next step. */
  readonly otherwise?: string;
}

/** The steps, in order. `names` says what the descriptors are that have fixed numbers. */
export function describeProgram(program: Program, names: ReadonlyMap<number, string> = new Map()): StepDescription[] {
  const labels = labelsOf(program);
  return program.operations.map((operation, index) => ({
    ...(labels.has(index) ? { labels: [...labels.get(index)!] } : {}),
    ...describe(operation, names),
  }));
}

/** Names of the labels that steps refer to, by the index of the step that they stand at. */
export function labelsOf(program: Program): Map<number, Set<string>> {
  const labels = new Map<number, Set<string>>();
  const add = (label: Label | undefined): void => {
    if (label?.index === undefined) return;
    if (!labels.has(label.index)) labels.set(label.index, new Set());
    labels.get(label.index)!.add(label.name);
  };
  for (const operation of program.operations) {
    if (operation === returnStep) continue;
    for (const label of [operation.branch?.to, operation.then, operation.otherwise]) add(label);
  }
  return labels;
}

function describe(operation: Operation, names: ReadonlyMap<number, string>): StepDescription {
  if (operation === returnStep) return { does: "go back to the runtime", call: "return", args: [] };
  const { does, call, expect, branch, then, allow, otherwise, into } = operation;
  return {
    does,
    call,
    args: formatArguments(operation, names),
    ...(into instanceof Slot ? { result: into.name } : {}),
    ...(expect === undefined ? {} : { expects: expect }),
    ...(branch === undefined ? {} : { branch: { on: branch.on, to: branch.to.name } }),
    ...(then === undefined ? {} : { then: then.name }),
    ...(allow === undefined || allow.length === 0 ? {} : { mayFail: allow }),
    ...(otherwise === undefined ? {} : { otherwise: otherwise.name }),
  };
}
