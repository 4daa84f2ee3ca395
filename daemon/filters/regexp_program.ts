/**
 * A regular expression's tree as a program for a machine that follows all ways at once.
 *
 * @module
 */
import type { Assertion, Node } from "./regexp_syntax.ts";

/** One step; steps are named by their index. `match` is the end. */
export type Step =
  | { readonly kind: "character"; readonly test: (character: string) => boolean; readonly next: number }
  | { readonly kind: "assertion"; readonly assertion: Assertion; readonly next: number }
  | { readonly kind: "fork"; readonly ways: readonly number[] }
  | { readonly kind: "match" };

/** Steps and where they begin. */
export interface Program {
  readonly steps: readonly Step[];
  readonly start: number;
}

/** Most steps of a program: `(a{100}){100}` and worse count as invalid, as very large ones do in Go. */
const stepsMax = 10_000;
/** Most nodes visited on the way: `((){1000}){1000}` makes no steps, but takes its time. */
const buildsMax = 100_000;

/** The program of a tree; undefined where it would be too large. */
export function compileProgram(root: Node): Program | undefined {
  const steps: Step[] = [{ kind: "match" }];
  let tooLarge = false;
  let builds = 0;
  const add = (step: Step): number => {
    if (steps.length >= stepsMax) tooLarge = true;
    else steps.push(step);
    return steps.length - 1;
  };

  /** Adds what a node does before it goes on to `next`; gives where that begins. Built from the end. */
  const build = (node: Node, next: number): number => {
    if (++builds > buildsMax) tooLarge = true;
    if (tooLarge) return next;
    switch (node.kind) {
      case "character":
        return add({ kind: "character", test: node.test, next });
      case "assertion":
        return add({ kind: "assertion", assertion: node.assertion, next });
      case "sequence":
        return node.parts.reduceRight((following, part) => build(part, following), next);
      case "choice":
        return add({ kind: "fork", ways: node.parts.map((part) => build(part, next)) });
      case "repeat": {
        let start = next;
        if (node.max === Infinity) {
          const ways = [next];
          start = add({ kind: "fork", ways });
          ways.push(build(node.part, start));
        } else {
          for (let count = node.min; count < node.max && !tooLarge; count++) {
            start = add({ kind: "fork", ways: [next, build(node.part, start)] });
          }
        }
        for (let count = 0; count < node.min && !tooLarge; count++) start = build(node.part, start);
        return start;
      }
    }
  };

  const start = build(root, 0);
  return tooLarge ? undefined : { steps, start };
}
