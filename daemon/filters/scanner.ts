/**
 * The tokens of the filter language (containerd's `pkg/filters`).
 *
 * @module
 */

/** What a piece of a filter is. `other` is a character that begins nothing, `illegal` carries its reason. */
export type TokenKind = "end" | "illegal" | "quoted" | "separator" | "operator" | "value" | "field" | "other";

/** A piece of a filter. */
export interface Token {
  readonly kind: TokenKind;
  /** Where it begins, in UTF-16 units. */
  readonly start: number;
  /** As it is written, quotes included; the reason where it is illegal. */
  readonly text: string;
}

const space = /\p{White_Space}/u;
/** Go's IsGraphic, without comma and spaces. */
const valueCharacter = /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u;
const simpleEscapes = "abfnrtv\\";
const notTerminated = "quoted literal not terminated";
const badNumber = "illegal numeric escape sequence";

/** Cuts a filter into tokens, one at a time. */
export class Scanner {
  #position = 0;
  /** After an operator comes a value, which takes more characters than a field. */
  #valueIsNext = false;

  constructor(readonly input: string) {}

  /** The next character, not taken; empty at the end. White space is a character. */
  peek(): string {
    const code = this.input.codePointAt(this.#position);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  /** Where {@link Scanner.peek} looks. */
  get position(): number {
    return this.#position;
  }

  /** Takes the next token; white space before it is skipped. */
  next(): Token {
    while (space.test(this.peek())) this.#position += this.peek().length;
    const start = this.#position;
    const first = this.peek();
    this.#position += first.length;
    const token = (kind: TokenKind) => ({ kind, start, text: this.input.slice(start, this.#position) });
    if (first === "") return token("end");
    // Bytes that are no UTF-8 have become this character where the request was read.
    if (first === "\ufffd") return { kind: "illegal", start, text: "rune error" };
    if (first === '"' || first === "/" || first === "|") {
      this.#valueIsNext = false;
      const reason = this.#quoted(first);
      return reason === undefined ? token("quoted") : { kind: "illegal", start, text: reason };
    }
    if (first === "," || first === ".") return token("separator");
    if (isOperator(first)) {
      this.#takeWhile(isOperator);
      this.#valueIsNext = true;
      return token("operator");
    }
    if (this.#valueIsNext) {
      this.#valueIsNext = false;
      this.#takeWhile((character) => character !== "," && valueCharacter.test(character));
      return token("value");
    }
    if (!isField(first)) return token("other");
    this.#takeWhile(isField);
    return token("field");
  }

  #takeWhile(belongs: (character: string) => boolean): void {
    for (let next = this.peek(); next !== "" && belongs(next); next = this.peek()) this.#position += next.length;
  }

  /** Takes a quoted literal whose quote was taken; gives what is wrong with it. */
  #quoted(quote: string): string | undefined {
    for (;;) {
      const character = this.peek();
      if (character === "" || character === "\n") return notTerminated;
      if (character === "\ufffd") return "rune error";
      this.#position += character.length;
      if (character === quote) return undefined;
      if (character === "\\") {
        const reason = this.#escape(quote);
        if (reason !== undefined) return reason;
      }
    }
  }

  #escape(quote: string): string | undefined {
    const character = this.peek();
    if (/^[0-7]$/.test(character)) return this.#digits(/^[0-7]$/, 3);
    if (character === "" || !(simpleEscapes + quote + "xuU").includes(character)) return "illegal escape sequence";
    this.#position++;
    if (character === "x") return this.#digits(/^[0-9a-fA-F]$/, 2);
    if (character === "u") return this.#digits(/^[0-9a-fA-F]$/, 4);
    if (character === "U") return this.#digits(/^[0-9a-fA-F]$/, 8);
    return undefined;
  }

  #digits(digit: RegExp, count: number): string | undefined {
    for (let taken = 0; taken < count; taken++) {
      if (!digit.test(this.peek())) return badNumber;
      this.#position++;
    }
    return undefined;
  }
}

function isOperator(character: string): boolean {
  return character === "=" || character === "!" || character === "~";
}

function isField(character: string): boolean {
  return /^[A-Za-z0-9_]$/.test(character);
}
