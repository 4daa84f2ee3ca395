/**
 * Conditions on a system call's arguments, as decisions on 32-bit words.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { SeccompArg } from "../../../api/oci/runtime_spec.ts";
import { argumentsOffset, type Comparison, type Node } from "./node.ts";

/** A condition whose values are split into words. */
export interface Condition {
  readonly index: number;
  readonly op: string;
  readonly value: Words;
  readonly valueTwo: Words;
}

interface Words {
  readonly high: number;
  readonly low: number;
}

const operators = new Set(["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map((name) => `SCMP_CMP_${name}`));

/** Names of all operators, in alphabetical order. */
export function knownOperators(): string[] {
  return [...operators].sort();
}

/** The condition of a profile; `where` names the property for errors. Throws `InvalidArgument`. */
export function parseCondition({ index, value, valueTwo, op }: SeccompArg, where: string): Condition {
  if (!Number.isInteger(index) || index < 0 || index > 5) {
    throw new Failure("InvalidArgument", `${where}.index: a system call has the arguments 0 to 5, not ${index}`);
  }
  if (!operators.has(op)) throw new Failure("InvalidArgument", `${where}.op: unknown operator "${op}"`);
  return { index, op, value: words(value, `${where}.value`), valueTwo: words(valueTwo ?? 0, `${where}.valueTwo`) };
}

function words(value: number | bigint, where: string): Words {
  const isWhole = typeof value === "bigint" || Number.isSafeInteger(value);
  if (!isWhole || value < 0 || value >= 2n ** 64n) {
    throw new Failure("InvalidArgument", `${where}: want a whole number from 0 to 2^64-1, not ${value}`);
  }
  if (typeof value === "number") return { high: Math.floor(value / 2 ** 32), low: value >>> 0 };
  return { high: Number(value >> 32n), low: Number(value & 0xffff_ffffn) };
}

/** The decision that goes to `yes` where the condition holds, else to `no`. */
export function decide(condition: Condition, wide: boolean, yes: Node, no: Node): Node {
  const { op, value } = condition;
  const test = tester(condition, wide);
  switch (op) {
    case "SCMP_CMP_EQ":
      return test("jeq", value, yes, no);
    case "SCMP_CMP_NE":
      return test("jeq", value, no, yes);
    case "SCMP_CMP_GT":
      return test("jgt", value, yes, no);
    case "SCMP_CMP_LE":
      return test("jgt", value, no, yes);
    case "SCMP_CMP_GE":
      return test("jge", value, yes, no);
    case "SCMP_CMP_LT":
      return test("jge", value, no, yes);
    case "SCMP_CMP_MASKED_EQ":
      return masked(condition, wide, yes, no);
  }
  throw new TypeError(`operator ${op}`);
}

function load(condition: Condition, word: "high" | "low", next: Node): Node {
  return { kind: "load", offset: argumentsOffset + 8 * condition.index + (word === "high" ? 4 : 0), next };
}

function tester(condition: Condition, wide: boolean) {
  return (op: Comparison, { high, low }: Words, yes: Node, no: Node): Node => {
    const lower = load(condition, "low", { kind: "jump", op, k: low, yes, no });
    if (!wide) return lower;
    const same: Node = { kind: "jump", op: "jeq", k: high, yes: lower, no };
    // Only where the upper words are equal does the lower one decide.
    return load(condition, "high", op === "jeq" ? same : { kind: "jump", op: "jgt", k: high, yes, no: same });
  };
}

/**
 * Wanted bits outside of the mask could never be there; libseccomp takes them as if they were not asked for, and so do
 * we. Words of which the mask leaves nothing are not looked at.
 */
function masked(condition: Condition, wide: boolean, yes: Node, no: Node): Node {
  const { value: mask, valueTwo: wanted } = condition;
  const part = (word: "high" | "low", match: Node): Node => {
    if (mask[word] === 0) return match;
    const test: Node = { kind: "jump", op: "jeq", k: (wanted[word] & mask[word]) >>> 0, yes: match, no };
    return load(condition, word, { kind: "and", mask: mask[word], next: test });
  };
  const lower = part("low", yes);
  return wide ? part("high", lower) : lower;
}
