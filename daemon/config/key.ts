/**
 * Keys as TOML writes them.
 *
 * @module
 */

/** One key: bare where it may be, else quoted as {@link quoteText}. */
export function quoteKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : quoteText(key);
}

/** The keys that lead to a value: `plugins.'io.containerd.gc.v1.scheduler'.pause_threshold`. */
export function quotePath(path: readonly string[]): string {
  return path.map(quoteKey).join(".");
}

const escapes: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\f": "\\f",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\",
};

/** A string in single quotes, where nothing is escaped; in double quotes only where it has to be, as containerd does. */
export function quoteText(text: string): string {
  // deno-lint-ignore no-control-regex -- Control characters are what TOML allows in no quotes unescaped.
  if (!/['\x00-\x08\x0a-\x1f\x7f]/.test(text)) return `'${text}'`;
  // deno-lint-ignore no-control-regex -- As above.
  return `"${text.replace(/["\\\x00-\x1f\x7f]/g, escape)}"`;
}

function escape(character: string): string {
  return escapes[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0").toUpperCase()}`;
}
