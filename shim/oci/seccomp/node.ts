/**
 * A filter as a graph of decisions; it is what the compiler builds and the assembler lays out.
 *
 * @module
 */

/** Comparisons of the accumulator with a constant, unsigned. */
export type Comparison = "jeq" | "jgt" | "jge";

/** One decision. Nodes may be shared: they are immutable and have no cycles. */
export type Node =
  | { readonly kind: "ret"; readonly value: number }
  /** Loads the word at this offset of `struct seccomp_data`. */
  | { readonly kind: "load"; readonly offset: number; readonly next: Node }
  | { readonly kind: "and"; readonly mask: number; readonly next: Node }
  | { readonly kind: "jump"; readonly op: Comparison; readonly k: number; readonly yes: Node; readonly no: Node };

/** Offset of `nr` in `struct seccomp_data` (linux/seccomp.h). */
export const numberOffset = 0;
/** Offset of `arch`. */
export const archOffset = 4;
/** Offset of the first of six 64-bit arguments; the low word comes first on our machines. */
export const argumentsOffset = 16;

/** From `start` on the answer is `node`. */
export interface Segment {
  readonly start: number;
  readonly node: Node;
}

/** A balanced search for the segment of the loaded number; segments are in order, and the first one starts at 0. */
export function searchTree(segments: readonly Segment[]): Node {
  const merged = segments.filter(({ node }, index) => index === 0 || segments[index - 1]!.node !== node);
  const build = (from: number, to: number): Node => {
    if (from === to) return merged[from]!.node;
    const middle = (from + to + 1) >> 1;
    return { kind: "jump", op: "jge", k: merged[middle]!.start, yes: build(middle, to), no: build(from, middle - 1) };
  };
  return build(0, merged.length - 1);
}
