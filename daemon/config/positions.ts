/**
 * Where each key and element of a TOML document stands.
 *
 * The parser in use tells values but no places, so this walks over the same text once more. It relies on the text being
 * valid, which the parser has checked; of an invalid one it finds less, but it always ends.
 *
 * @module
 */

/** The place of a key or of an element, and of what is below it. */
export interface Place {
  /** Index of the first UTF-16 unit of the key or element. */
  offset: number;
  /** Keys below, where it is a table. */
  readonly keys: Map<string, Place>;
  /** Elements, where it is a list. */
  readonly items: Place[];
}

/** The places of everything in a document. The root's is its first character. */
export function findPlaces(text: string): Place {
  return new Scanner(text).document();
}

/** Line and column of offsets, both from 1, columns in UTF-16 units. */
export function lineCounter(text: string): (offset: number) => { line: number; column: number } {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0, high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  };
}

function newPlace(offset: number): Place {
  return { offset, keys: new Map(), items: [] };
}

interface KeyPart {
  readonly name: string;
  readonly offset: number;
}

class Scanner {
  #at = 0;

  constructor(readonly text: string) {}

  document(): Place {
    const root = newPlace(0);
    let current = root;
    for (;;) {
      this.#skipBlank(true);
      if (this.#at >= this.text.length) return root;
      if (this.#peek() === "[") current = this.#header(root);
      else this.#pair(current);
    }
  }

  #peek(ahead = 0): string {
    return this.text[this.#at + ahead] ?? "";
  }

  /** `[a.b]` or `[[a.b]]`; gives the place of the table that is now written. */
  #header(root: Place): Place {
    const twice = this.#peek(1) === "[";
    this.#at += twice ? 2 : 1;
    const path = this.#key();
    this.#skipBlank(false);
    if (this.#peek() === "]") this.#at += twice ? 2 : 1;
    let place = root;
    path.forEach(({ name, offset }, index) => {
      const parent = place.items.at(-1) ?? place;
      const found = parent.keys.get(name);
      place = found ?? newPlace(offset);
      // A table that another's header implied stands where its own header is.
      if (index === path.length - 1) place.offset = offset;
      if (found === undefined) parent.keys.set(name, place);
    });
    if (!twice) return place;
    const element = newPlace(place.offset);
    place.items.push(element);
    return element;
  }

  /** `a.b = value`. */
  #pair(table: Place): void {
    const start = this.#at;
    let place = table;
    for (const { name, offset } of this.#key()) {
      let next = place.keys.get(name);
      if (next === undefined) place.keys.set(name, next = newPlace(offset));
      place = next;
    }
    this.#skipBlank(false);
    if (this.#peek() === "=") this.#at++;
    this.#skipBlank(false);
    this.#value(place);
    // Something that is no statement at all: go on behind it, so that the walk ends.
    if (this.#at === start) this.#at++;
  }

  #key(): KeyPart[] {
    const parts: KeyPart[] = [];
    for (;;) {
      this.#skipBlank(false);
      const offset = this.#at;
      const quote = this.#peek();
      if (quote === '"' || quote === "'") parts.push({ name: this.#quoted(quote), offset });
      else {
        while (/[A-Za-z0-9_-]/.test(this.#peek())) this.#at++;
        if (this.#at === offset) return parts;
        parts.push({ name: this.text.slice(offset, this.#at), offset });
      }
      this.#skipBlank(false);
      if (this.#peek() !== ".") return parts;
      this.#at++;
    }
  }

  #value(place: Place): void {
    const first = this.#peek();
    if (first === '"' || first === "'") {
      if (this.text.startsWith(first.repeat(3), this.#at)) this.#multiline(first);
      else this.#quoted(first);
    } else if (first === "[") this.#list(place);
    else if (first === "{") this.#inlineTable(place);
    else while (this.#at < this.text.length && !/[,\]}#\n]/.test(this.#peek())) this.#at++;
  }

  #list(place: Place): void {
    this.#at++;
    for (;;) {
      this.#skipBlank(true);
      if (this.#at >= this.text.length) return;
      if (this.#peek() === "]") {
        this.#at++;
        return;
      }
      const item = newPlace(this.#at);
      this.#value(item);
      // A comma or a stray character; else an element was read.
      if (this.#at > item.offset) place.items.push(item);
      else this.#at++;
    }
  }

  #inlineTable(place: Place): void {
    this.#at++;
    for (;;) {
      this.#skipBlank(true);
      const next = this.#peek();
      if (next === "" || next === "}") {
        this.#at++;
        return;
      }
      if (next === ",") this.#at++;
      else this.#pair(place);
    }
  }

  /** A string on one line; gives what it says. */
  #quoted(quote: string): string {
    const start = ++this.#at;
    while (this.#at < this.text.length && this.#peek() !== quote && this.#peek() !== "\n") {
      this.#at += quote === '"' && this.#peek() === "\\" ? 2 : 1;
    }
    const raw = this.text.slice(start, this.#at);
    if (this.#peek() === quote) this.#at++;
    return quote === '"' ? unescape(raw) : raw;
  }

  #multiline(quote: string): void {
    const end = quote.repeat(3);
    this.#at += 3;
    while (this.#at < this.text.length && !this.text.startsWith(end, this.#at)) {
      this.#at += quote === '"' && this.#peek() === "\\" ? 2 : 1;
    }
    this.#at += 3;
    // Up to two quotes may stand before the closing three.
    while (this.#peek() === quote) this.#at++;
  }

  #skipBlank(lines: boolean): void {
    for (; this.#at < this.text.length; this.#at++) {
      const character = this.#peek();
      if (lines && character === "#") {
        const end = this.text.indexOf("\n", this.#at);
        this.#at = end === -1 ? this.text.length : end;
      }
      if (!/[ \t]/.test(character) && !(lines && /[\r\n#]/.test(character))) return;
    }
  }
}

const escapes: Readonly<Record<string, string>> = {
  b: "\b",
  t: "\t",
  n: "\n",
  f: "\f",
  r: "\r",
  e: "\x1b",
  '"': '"',
  "\\": "\\",
};

function unescape(raw: string): string {
  const escape = /\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))/g;
  return raw.replace(escape, (whole, x, u, long, letter) => {
    const code = x ?? u ?? long;
    if (code === undefined) return escapes[letter] ?? whole;
    const point = Number.parseInt(code, 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}
