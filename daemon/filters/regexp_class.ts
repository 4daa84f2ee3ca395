/**
 * Sets of characters in regular expressions, as JavaScript's class syntax with the `v` flag.
 *
 * @module
 */

/** Inner text of a class for each name of `[[:name:]]`. */
const posix: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\x00-\\x7f",
  blank: "\\t ",
  cntrl: "\\x00-\\x1f\\x7f",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@\\[-`\\{-~",
  space: "\\t\\n\\v\\f\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

const perl: Readonly<Record<string, string>> = { d: "0-9", s: "\\t\\n\\f\\r ", w: "0-9A-Za-z_" };

/** A nested class; JavaScript wants `!`, `-`, `~` and the like escaped, so that ranges are given by number. */
function nested(inner: string, negated: boolean): string {
  const numbered = inner.replaceAll(/\\x..|\\.|[^-]|-(?=$)/gu, (item) => single(codeOf(item)));
  return `[${negated ? "^" : ""}${numbered}]`;
}

const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 };

function codeOf(item: string): number {
  if (item.startsWith("\\x")) return parseInt(item.slice(2), 16);
  if (item.startsWith("\\")) return controls[item[1]!] ?? item.codePointAt(1)!;
  return item.codePointAt(0)!;
}

/** One character. */
export function single(code: number): string {
  return `\\u{${code.toString(16)}}`;
}

/** `[:alpha:]` or `[:^alpha:]`, given without brackets and colons; undefined where there is no such class. */
export function posixClass(name: string): string | undefined {
  const negated = name.startsWith("^");
  const inner = posix[negated ? name.slice(1) : name];
  return inner === undefined ? undefined : nested(inner, negated);
}

/** `\d`, `\S` and so on, given by the letter; undefined where it is none. They know ASCII only. */
export function perlClass(letter: string): string | undefined {
  const inner = perl[letter.toLowerCase()];
  return inner === undefined ? undefined : nested(inner, letter !== letter.toLowerCase());
}

/** `\p{Greek}` or `\PN`, given by the name; undefined where it is neither a general category nor a script. */
export function unicodeClass(name: string, negated: boolean): string | undefined {
  const inverted = name.startsWith("^");
  const plain = inverted ? name.slice(1) : name;
  const letter = negated === inverted ? "p" : "P";
  if (plain === "Any") return letter === "p" ? "\\p{Any}" : "\\P{Any}";
  const property = /^[CLMNPSZ][a-z]?$/.test(plain) ? plain : `Script=${plain}`;
  if (!/^[A-Za-z_=]+$/.test(property)) return undefined;
  try {
    new RegExp(`\\p{${property}}`, "v");
  } catch {
    // The constructor throws nothing but that it does not know the property.
    return undefined;
  }
  return `\\${letter}{${property}}`;
}

/** Whether a character belongs to a class, which is the text between `[` and `]`. */
export function classTest(inner: string, negated: boolean, foldsCase: boolean): (character: string) => boolean {
  const set = new RegExp(`^[${negated ? "^" : ""}${inner}]$`, foldsCase ? "vi" : "v");
  return (character) => set.test(character);
}
