/**
 * Tables in columns.
 *
 * @module
 */

/** Lines with columns of equal width; those whose title begins with a blank are aligned to the right. */
export function renderTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, column) =>
    Math.max(title.trim().length, ...rows.map((row) => row[column]!.length))
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) =>
      titles[column]!.startsWith(" ") ? cell.trim().padStart(widths[column]!) : cell.padEnd(widths[column]!)
    ).join("  ").trimEnd();
  return [titles, ...rows].map(line).join("\n");
}
