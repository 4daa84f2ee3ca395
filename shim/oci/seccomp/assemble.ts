/**
 * Lays a graph of decisions out as classic BPF: an array of `struct sock_filter` (linux/filter.h).
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Node } from "./node.ts";

/** BPF_MAXINSNS: the kernel refuses longer programs. */
const mostInstructions = 4096;
/** Offsets of conditional jumps have eight bits. */
const mostOffset = 255;

/** Codes of the instructions that are used (linux/bpf_common.h); all are 32 bits wide. */
export const codes = { ld: 0x20, and: 0x54, ja: 0x05, jeq: 0x15, jgt: 0x25, jge: 0x35, ret: 0x06 } as const;

/** Size of one instruction in bytes. */
export const instructionSize = 8;

/** The program of the graph. Throws `ResourceExhausted` where it is longer than the kernel takes. */
export function assemble(root: Node): Uint8Array<ArrayBuffer> {
  const reversed = new Layout().lay(root);
  const length = reversed.length / 2;
  if (length > mostInstructions) {
    throw new Failure(
      "ResourceExhausted",
      `linux.seccomp makes a filter of ${length} instructions: the kernel takes at most ${mostInstructions}, ` +
        "so the profile needs fewer rules with arguments",
    );
  }
  // Both of our architectures are little-endian, so that two words are one struct.
  return new Uint8Array(Uint32Array.from(reversed).reverse().buffer);
}

/**
 * Jumps only go forward, so the program is written from its end: whatever an instruction jumps to has a place before
 * the instruction itself is written.
 */
class Layout {
  /** Two words for each instruction, all in reverse: `k`, then code and offsets. */
  readonly #words: number[] = [];
  /** Place of each node's nearest copy. */
  readonly #places = new Map<Node, number>();

  lay(root: Node): number[] {
    this.#write(root);
    return this.#words;
  }

  /** Writes what the node leads to, then the node; with a stack of its own, since a long profile nests deeply. */
  #write(root: Node): void {
    const open: Node[] = [root];
    for (let node = open.at(-1); node !== undefined; node = open.at(-1)) {
      const before = open.length;
      for (const target of node.kind === "jump" ? [node.no, node.yes] : node.kind === "ret" ? [] : [node.next]) {
        if (!this.#places.has(target)) open.push(target);
      }
      if (open.length > before) continue;
      open.pop();
      if (!this.#places.has(node)) this.#writeOne(node);
    }
  }

  /** Everything that the node leads to has its place. */
  #writeOne(node: Node): void {
    switch (node.kind) {
      case "ret":
        return this.#put(node, codes.ret, node.value);
      case "load":
        // What has no jump of its own goes on with the next instruction.
        this.#bridge(node.next, 0);
        return this.#put(node, codes.ld, node.offset);
      case "and":
        this.#bridge(node.next, 0);
        return this.#put(node, codes.and, node.mask);
      case "jump":
        // The second may need a bridge, which puts the first one instruction further away.
        this.#bridge(node.yes, mostOffset - 1);
        this.#bridge(node.no, mostOffset);
        return this.#put(node, codes[node.op], node.k, this.#distance(node.yes), this.#distance(node.no));
    }
  }

  /** Brings a node within reach: an answer is written again, to anything else there is a jump without limit. */
  #bridge(node: Node, reach: number): void {
    const distance = this.#distance(node);
    if (distance <= reach) return;
    if (node.kind === "ret") this.#put(node, codes.ret, node.value);
    else this.#put(node, codes.ja, distance);
  }

  /** How many instructions lie between the one to be written and the node. */
  #distance(node: Node): number {
    return this.#words.length / 2 - 1 - this.#places.get(node)!;
  }

  #put(node: Node, code: number, k: number, yes = 0, no = 0): void {
    this.#places.set(node, this.#words.length / 2);
    this.#words.push(k, code + (yes << 16) + no * 2 ** 24);
  }
}
