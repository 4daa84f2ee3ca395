/**
 * Type signatures of D-Bus (D-Bus Specification, "Type System").
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** One complete type. */
export interface Type {
  /** The letter of a basic type, `v`, or `a`, `(`, `{` for containers. */
  readonly code: string;
  /** An array's element, a structure's fields, a dictionary entry's key and value. */
  readonly children: readonly Type[];
}

/** Boundary in bytes that a value of each type begins at. */
const alignments: Readonly<Record<string, number>> = {
  ...{ y: 1, g: 1, v: 1 },
  ...{ n: 2, q: 2 },
  ...{ b: 4, i: 4, u: 4, h: 4, s: 4, o: 4, a: 4 },
  ...{ x: 8, t: 8, d: 8, "(": 8, "{": 8 },
};

const basic = new Set("ybnqiuxtdsogh");

/** Both are the specification's. */
const lengthMax = 255;
const depthMax = 32;

/** Boundary in bytes that a value of this type begins at. */
export function alignmentOf(type: Type): number {
  return alignments[type.code]!;
}

/** The complete types of a signature, in order. Throws `InvalidArgument` for what is none. */
export function parseSignature(signature: string): Type[] {
  const parser = new SignatureParser(signature);
  if (signature.length > lengthMax) throw parser.malformed(`longer than ${lengthMax} bytes`);
  const types: Type[] = [];
  while (!parser.atEnd) types.push(parser.next(0, 0));
  return types;
}

class SignatureParser {
  #position = 0;

  constructor(readonly text: string) {}

  get atEnd(): boolean {
    return this.#position >= this.text.length;
  }

  malformed(why: string): Failure {
    return new Failure("InvalidArgument", `${JSON.stringify(this.text)} is no D-Bus signature: ${why}`);
  }

  /** Arrays and structures are counted apart, as the specification does. */
  next(arrays: number, structures: number): Type {
    const code = this.text[this.#position++];
    if (code === undefined) throw this.malformed("it ends inside of a type");
    if (basic.has(code) || code === "v") return { code, children: [] };
    if (arrays >= depthMax || structures >= depthMax) throw this.malformed(`nested deeper than ${depthMax}`);
    if (code === "a") {
      const element = this.text[this.#position] === "{"
        ? this.#entry(arrays + 1, structures)
        : this.next(arrays + 1, structures);
      return { code, children: [element] };
    }
    if (code !== "(") throw this.malformed(`${JSON.stringify(code)} is no type`);
    const children: Type[] = [];
    while (this.text[this.#position] !== ")") children.push(this.next(arrays, structures + 1));
    this.#position++;
    if (children.length === 0) throw this.malformed("a structure has no fields");
    return { code, children };
  }

  #entry(arrays: number, structures: number): Type {
    this.#position++;
    const key = this.next(arrays, structures + 1);
    if (!basic.has(key.code)) throw this.malformed("a dictionary's key is no basic type");
    const value = this.next(arrays, structures + 1);
    if (this.text[this.#position++] !== "}") throw this.malformed("a dictionary entry is no pair");
    return { code: "{", children: [key, value] };
  }
}
