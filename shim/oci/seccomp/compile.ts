/**
 * From `linux.seccomp` of a spec to the program that the kernel runs before every system call.
 *
 * The verdicts are those of runc with libseccomp, rules of thumb included; the program is our own: one binary search
 * over ranges of numbers, and behind it the conditions of the few calls that have some.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Seccomp, SeccompSyscall } from "../../../api/oci/runtime_spec.ts";
import type { Arch } from "../../../ffi/arch.ts";
import { answerOf, filterFlags, killThread, letsThrough, noSuchCall } from "./action.ts";
import { type Abi, chooseAbis, numberOf } from "./architecture.ts";
import { assemble } from "./assemble.ts";
import { type Condition, decide, parseCondition } from "./condition.ts";
import { archOffset, type Node, numberOffset, searchTree, type Segment } from "./node.ts";

/** A filter that is ready to be loaded. */
export interface CompiledFilter {
  /** An array of `struct sock_filter`; eight bytes each. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** For seccomp(2). Where it is 0, prctl(PR_SET_SECCOMP) does as well. */
  readonly flags: number;
  /** Whether some calls are asked about: seccomp(2) then gives a listener's descriptor. */
  readonly listener: boolean;
}

/** One rule of one call: an answer under conditions that must all hold. */
interface Rule {
  readonly conditions: readonly Condition[];
  readonly answer: Node;
}

/** A rule before numbers are known. */
interface NamedRule extends Rule {
  readonly names: readonly string[];
}

/**
 * Compiles the profile for the architecture. Throws `InvalidArgument` that names the property, `ResourceExhausted` for a
 * profile that is too long.
 */
export function compileSeccomp(profile: Seccomp, arch: Arch): CompiledFilter {
  const listener = hasListener(profile);
  const flags = filterFlags(profile.flags, listener);
  const compiler = new Compiler(profile);
  const segments = new Map<number, Segment[]>();
  for (const abi of chooseAbis(profile.architectures ?? [], arch)) {
    segments.set(abi.token, [...segments.get(abi.token) ?? [], ...compiler.segmentsOf(abi)]);
  }
  // The first one is our own: it is asked for first.
  let root = compiler.answer(killThread);
  for (const [token, ofToken] of [...segments].reverse()) {
    const search: Node = { kind: "load", offset: numberOffset, next: searchTree(ofToken) };
    root = { kind: "jump", op: "jeq", k: token, yes: search, no: root };
  }
  return { program: assemble({ kind: "load", offset: archOffset, next: root }), flags, listener };
}

/**
 * Whether a listener is asked about calls. `write` cannot be one of them: the new process says by it that the listener is
 * there, and nobody would answer yet. Throws `InvalidArgument` in runc's words.
 */
function hasListener({ defaultAction, listenerPath, syscalls = [] }: Seccomp): boolean {
  const notify = "SCMP_ACT_NOTIFY";
  if (defaultAction === notify) {
    throw new Failure("InvalidArgument", `linux.seccomp.defaultAction: ${notify} cannot be used as default action`);
  }
  const asked = syscalls.filter(({ action }) => action === notify);
  if (asked.some(({ names }) => names.includes("write"))) {
    throw new Failure("InvalidArgument", `linux.seccomp.syscalls: ${notify} cannot be used for the write syscall`);
  }
  if (asked.length > 0 && !listenerPath?.startsWith("/")) {
    throw new Failure("InvalidArgument", `linux.seccomp.listenerPath: ${notify} wants the absolute path of a socket`);
  }
  return asked.length > 0;
}

class Compiler {
  readonly #answers = new Map<number, Node>();
  readonly #default: Node;
  readonly #rules: readonly NamedRule[];
  /** Whether calls that are newer than the profile are as if the kernel were older, so that programs fall back. */
  readonly #hides: boolean;

  constructor({ defaultAction, defaultErrnoRet, syscalls = [] }: Seccomp) {
    const value = answerOf(defaultAction, defaultErrnoRet, "linux.seccomp.defaultAction");
    this.#default = this.answer(value);
    this.#rules = syscalls.flatMap((entry, index) => this.#parseRule(entry, `linux.seccomp.syscalls[${index}]`));
    this.#hides = !letsThrough(defaultAction) && value !== noSuchCall;
  }

  /** The node of an answer: one for each, so that equal ones are seen to be equal. */
  answer(value: number): Node {
    const known = this.#answers.get(value);
    if (known !== undefined) return known;
    const node: Node = { kind: "ret", value };
    this.#answers.set(value, node);
    return node;
  }

  #parseRule({ names, action, errnoRet, args = [] }: SeccompSyscall, where: string): NamedRule[] {
    if (names.length === 0 || names.includes("")) {
      throw new Failure("InvalidArgument", `${where}.names: want at least one name of a system call, and none empty`);
    }
    const answer = this.answer(answerOf(action, errnoRet, where));
    const conditions = args.map((arg, index) => parseCondition(arg, `${where}.args[${index}]`));
    const indices = new Set(conditions.map(({ index }) => index));
    // Conditions on different arguments must all hold; of two on the same argument one is enough, and then of all.
    if (indices.size === conditions.length) return [{ names, conditions, answer }];
    return conditions.map((condition) => ({ names, conditions: [condition], answer }));
  }

  /** What the filter answers on this interface, over the numbers from its first to the last one there can be. */
  segmentsOf(abi: Abi): Segment[] {
    const segments: Segment[] = [{ start: abi.first, node: this.#default }];
    const from = (start: number, node: Node): void => {
      if (segments.at(-1)!.start === start) segments.pop();
      if (segments.at(-1)?.node !== node) segments.push({ start, node });
    };
    const byNumber = this.#rulesByNumber(abi);
    // A typed array sorts by number in native code, which counts in a program that runs once.
    const numbers = Uint32Array.from(byNumber.keys()).sort();
    const firstPrivate = abi.privateFrom ?? Infinity;
    const newest = this.#hides ? numbers.findLast((number) => number < firstPrivate) : undefined;
    for (const number of numbers) {
      from(number, this.#decision(byNumber.get(number)!, abi));
      from(number + 1, this.#default);
      if (number !== newest) continue;
      // What follows the newest known call does not exist for the container; private numbers are not newer ones.
      from(number + 1, this.answer(noSuchCall));
      if (abi.privateFrom !== undefined) from(abi.privateFrom, this.#default);
    }
    if (abi.foreignFrom !== undefined) {
      from(abi.foreignFrom, this.answer(killThread));
      // -1 is how a tracer skips a call (seccomp(2)).
      from(0xffff_ffff, this.#default);
    }
    return segments;
  }

  /** Rules by number; a name that this interface does not have is no mistake: one profile serves many. */
  #rulesByNumber(abi: Abi): Map<number, Rule[]> {
    const byNumber = new Map<number, Rule[]>();
    const add = (name: string, rule: Rule): void => {
      const number = numberOf(abi, name);
      if (number === undefined) return;
      const rules = byNumber.get(number);
      if (rules === undefined) byNumber.set(number, [rule]);
      else rules.push(rule);
    };
    for (const rule of this.#rules) {
      for (const name of rule.names) {
        add(name, rule);
        const collected = abi.multiplexed?.get(name);
        if (collected !== undefined) add(collected[0], throughCollector(rule, collected[1]));
      }
    }
    return byNumber;
  }

  /** The first rule that fits decides, but one without conditions wins over all that have some, as in libseccomp. */
  #decision(rules: readonly Rule[], abi: Abi): Node {
    // A rule that says what holds anyway is none: it must not win over another one.
    const counting = rules.filter(({ answer }) => answer !== this.#default);
    const always = counting.find(({ conditions }) => conditions.length === 0);
    if (always !== undefined) return always.answer;
    return counting.reduceRight<Node>((otherwise, { conditions, answer }) => {
      const decided = (yes: Node, condition: Condition) => decide(condition, abi.wide, yes, otherwise);
      return conditions.reduceRight(decided, answer);
    }, this.#default);
  }
}

/**
 * The rule for a call that is made through `socketcall(2)` or `ipc(2)`: its number takes the place of the first
 * argument and of what the rule wants of that, as in libseccomp. (The others are pointers there, and mean little.)
 */
function throughCollector({ conditions, answer }: Rule, selector: number): Rule {
  const zero = { high: 0, low: 0 };
  const equal = { index: 0, op: "SCMP_CMP_EQ", value: { high: 0, low: selector }, valueTwo: zero };
  return { conditions: [equal, ...conditions.filter(({ index }) => index !== 0)], answer };
}
