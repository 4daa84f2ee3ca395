/**
 * The names that barge may be called by, from the table in `main.ts`. That module runs barge when it is imported, so
 * its text is read instead.
 *
 * @module
 */

/**
 * Name → the words that it stands for, of `const links` in the text of `main.ts`. Throws where there is no such table.
 */
export function linkWords(main: string): Map<string, string[]> {
  const table = /^const links\b[^=]*= \{\n(.*?)^\};/ms.exec(main)?.[1];
  if (table === undefined) throw new Error("main.ts has no table of links");
  const rows = table.matchAll(/^ {2}"?([\w-]+)"?: (\[.*\]),$/gm);
  // The table's values are lists of plain strings, which are JSON as well.
  return new Map([...rows].map(([, name, words]) => [name!, JSON.parse(words!) as string[]]));
}

/** The names alone. Throws as {@link linkWords}. */
export function linkNames(main: string): string[] {
  return [...linkWords(main).keys()];
}
