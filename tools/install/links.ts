/**
 * The names that barge may be called by, from the table in `main.ts`. That module runs barge when it is imported, so
 * its text is read instead.
 *
 * @module
 */

/** The keys of `const links` in the text of `main.ts`. Throws where there is no such table. */
export function linkNames(main: string): string[] {
  const table = /^const links\b[^=]*= \{\n(.*?)^\};/ms.exec(main)?.[1];
  if (table === undefined) throw new Error("main.ts has no table of links");
  return [...table.matchAll(/^ {2}"?([\w-]+)"?:/gm)].map(([, name]) => name!);
}
