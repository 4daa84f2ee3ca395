/**
 * The syntax of RE2 (as Go's `regexp` takes it), read into a tree.
 *
 * @module
 */
import { classTest, perlClass, posixClass, single, unicodeClass } from "./regexp_class.ts";

/** Where the text may stand between two characters. */
export type Assertion = "textStart" | "textEnd" | "lineStart" | "lineEnd" | "word" | "notWord";

/** A regular expression. */
export type Node =
  | { readonly kind: "character"; readonly test: (character: string) => boolean }
  | { readonly kind: "assertion"; readonly assertion: Assertion }
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  | { readonly kind: "choice"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly part: Node; readonly min: number; readonly max: number };

/** As in Go: `a{1001}` is invalid. */
const repeatMax = 1000;
/** Groups within groups; Go allows 1000. */
const depthMax = 250;

interface Flags {
  readonly foldsCase: boolean;
  readonly multiLine: boolean;
  readonly dotTakesLines: boolean;
}

class Invalid extends Error {}

/** The tree of a pattern; undefined where it is invalid. Only whether a pattern matches is kept: greed and captures go. */
export function parseRegexp(pattern: string): Node | undefined {
  try {
    return new Parser(pattern).whole();
  } catch (error) {
    if (error instanceof Invalid) return undefined;
    throw error;
  }
}

class Parser {
  readonly #characters: readonly string[];
  readonly #names = new Set<string>();
  #at = 0;
  #flags: Flags = { foldsCase: false, multiLine: false, dotTakesLines: false };

  constructor(pattern: string) {
    this.#characters = [...pattern];
  }

  whole(): Node {
    const node = this.#choice(0);
    // Only a parenthesis too much ends it before the end.
    if (this.#at < this.#characters.length) throw new Invalid();
    return node;
  }

  #peek(offset = 0): string {
    return this.#characters[this.#at + offset] ?? "";
  }

  #take(text: string): boolean {
    if (![...text].every((character, index) => this.#peek(index) === character)) return false;
    this.#at += text.length;
    return true;
  }

  #takeAny(): string {
    const character = this.#peek();
    if (character === "") throw new Invalid();
    this.#at++;
    return character;
  }

  #choice(depth: number): Node {
    if (depth > depthMax) throw new Invalid();
    const parts = [this.#sequence(depth)];
    while (this.#take("|")) parts.push(this.#sequence(depth));
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  #sequence(depth: number): Node {
    const parts: Node[] = [];
    // Whether the last part may be repeated: `a**` and `*` are invalid.
    let repeatable = false;
    for (let next = this.#peek(); next !== "" && next !== "|" && next !== ")"; next = this.#peek()) {
      const times = this.#repetition();
      if (times !== undefined) {
        const part = parts.pop();
        if (part === undefined || !repeatable) throw new Invalid();
        parts.push({ kind: "repeat", part, ...times });
        repeatable = false;
      } else if (this.#take("\\Q")) {
        while (this.#peek() !== "" && !this.#take("\\E")) {
          parts.push(this.#literal(this.#takeAny()));
          repeatable = true;
        }
      } else {
        const part = this.#atom(depth);
        if (part !== undefined) parts.push(part);
        repeatable = parts.length > 0;
      }
    }
    return { kind: "sequence", parts };
  }

  /** `*`, `+?`, `{2,3}`; undefined, and nothing taken, where there is none. `{` of something else is itself. */
  #repetition(): { min: number; max: number } | undefined {
    let times: { min: number; max: number } | undefined;
    if (this.#take("*")) times = { min: 0, max: Infinity };
    else if (this.#take("+")) times = { min: 1, max: Infinity };
    else if (this.#take("?")) times = { min: 0, max: 1 };
    else if (this.#peek() === "{") {
      const written = this.#characters.slice(this.#at, this.#at + 32).join("");
      const match = /^\{(0|[1-9]\d*)(,(0|[1-9]\d*)?)?\}/.exec(written);
      if (match === null) return undefined;
      const min = Number(match[1]);
      const max = match[2] === undefined ? min : match[3] === undefined ? Infinity : Number(match[3]);
      if (min > repeatMax || (max !== Infinity && max > repeatMax) || max < min) throw new Invalid();
      this.#at += match[0].length;
      times = { min, max };
    }
    if (times !== undefined) this.#take("?");
    return times;
  }

  /** One part of a sequence; undefined for what only changes flags. */
  #atom(depth: number): Node | undefined {
    const { multiLine, dotTakesLines } = this.#flags;
    const character = this.#takeAny();
    switch (character) {
      case "(":
        return this.#group(depth);
      case "[":
        return this.#class();
      case ".":
        return { kind: "character", test: dotTakesLines ? () => true : (next) => next !== "\n" };
      case "^":
        return { kind: "assertion", assertion: multiLine ? "lineStart" : "textStart" };
      case "$":
        return { kind: "assertion", assertion: multiLine ? "lineEnd" : "textEnd" };
      case "\\":
        return this.#escape();
      default:
        return this.#literal(character);
    }
  }

  #literal(character: string): Node {
    if (!this.#flags.foldsCase) return { kind: "character", test: (next) => next === character };
    return { kind: "character", test: classTest(single(character.codePointAt(0)!), false, true) };
  }

  #group(depth: number): Node | undefined {
    const before = this.#flags;
    if (this.#take("?")) {
      const name = /^P?<([A-Za-z0-9_]+)>/.exec(this.#characters.slice(this.#at, this.#at + 256).join(""));
      if (name !== null) {
        if (this.#names.has(name[1]!)) throw new Invalid();
        this.#names.add(name[1]!);
        this.#at += name[0].length;
      } else if (!this.#groupFlags()) return undefined;
    }
    const node = this.#choice(depth + 1);
    if (!this.#take(")")) throw new Invalid();
    this.#flags = before;
    return node;
  }

  /** `i-s:` or `i-s)`; true where a group follows. */
  #groupFlags(): boolean {
    let value = true;
    let seen = false;
    for (;;) {
      const letter = this.#takeAny();
      if (letter === "i") this.#flags = { ...this.#flags, foldsCase: value };
      else if (letter === "m") this.#flags = { ...this.#flags, multiLine: value };
      else if (letter === "s") this.#flags = { ...this.#flags, dotTakesLines: value };
      else if (letter === "-" && value) {
        value = false;
        seen = false;
        continue;
      } else if ((letter === ":" || letter === ")") && (value || seen)) {
        return letter === ":";
      } else if (letter !== "U") {
        throw new Invalid();
      }
      seen = true;
    }
  }

  /** What follows a backslash, outside of a class. */
  #escape(): Node {
    const letter = this.#peek();
    const assertions: Record<string, Assertion> = { A: "textStart", z: "textEnd", b: "word", B: "notWord" };
    const assertion = assertions[letter];
    if (assertion !== undefined) {
      this.#at++;
      return { kind: "assertion", assertion };
    }
    const set = this.#setEscape();
    if (set !== undefined) return { kind: "character", test: classTest(set, false, this.#flags.foldsCase) };
    return this.#literal(String.fromCodePoint(this.#codeEscape()));
  }

  /** `\d`, `\pN`, `\p{Greek}` after the backslash; undefined, and nothing taken, where it is another. */
  #setEscape(): string | undefined {
    const letter = this.#peek();
    const set = perlClass(letter);
    if (set !== undefined) {
      this.#at++;
      return set;
    }
    if (letter !== "p" && letter !== "P") return undefined;
    this.#at++;
    let name = this.#takeAny();
    if (name === "{") {
      name = "";
      for (let next = this.#takeAny(); next !== "}"; next = this.#takeAny()) name += next;
    }
    const unicode = unicodeClass(name, letter === "P");
    if (unicode === undefined) throw new Invalid();
    return unicode;
  }

  /** An escaped character after the backslash. */
  #codeEscape(): number {
    const letter = this.#takeAny();
    const controls: Record<string, number> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
    if (controls[letter] !== undefined) return controls[letter];
    // A single digit other than 0 would refer back to a group, which RE2 does not know.
    if (letter === "0" || (/^[1-7]$/.test(letter) && /^[0-7]$/.test(this.#peek()))) {
      let digits = letter;
      while (digits.length < 3 && /^[0-7]$/.test(this.#peek())) digits += this.#takeAny();
      return parseInt(digits, 8);
    }
    if (letter === "x") {
      let digits = "";
      if (this.#take("{")) { for (let next = this.#takeAny(); next !== "}"; next = this.#takeAny()) digits += next; }
      else digits = this.#takeAny() + this.#takeAny();
      const code = /^[0-9A-Fa-f]+$/.test(digits) ? parseInt(digits, 16) : Infinity;
      if (code > 0x10ffff) throw new Invalid();
      return code;
    }
    if (letter < "\x80" && !/^[0-9A-Za-z]$/.test(letter)) return letter.codePointAt(0)!;
    throw new Invalid();
  }

  /** A class whose `[` was taken. */
  #class(): Node {
    const negated = this.#take("^");
    let inner = "";
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      inner += this.#classItem();
    }
    this.#at++;
    return { kind: "character", test: classTest(inner, negated, this.#flags.foldsCase) };
  }

  #classItem(): string {
    const rest = this.#characters.slice(this.#at, this.#at + 16).join("");
    const name = /^\[:(.*?):\]/.exec(rest);
    if (name !== null) {
      const set = posixClass(name[1]!);
      if (set === undefined) throw new Invalid();
      this.#at += name[0].length;
      return set;
    }
    if (this.#peek() === "\\") {
      this.#at++;
      const set = this.#setEscape();
      if (set !== undefined) return set;
      this.#at--;
    }
    const low = this.#classCode();
    if (this.#peek() !== "-" || this.#peek(1) === "]" || this.#peek(1) === "") return single(low);
    this.#at++;
    const high = this.#classCode();
    if (high < low) throw new Invalid();
    return `${single(low)}-${single(high)}`;
  }

  #classCode(): number {
    return this.#take("\\") ? this.#codeEscape() : this.#takeAny().codePointAt(0)!;
  }
}
