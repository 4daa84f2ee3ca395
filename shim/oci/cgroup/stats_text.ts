/**
 * The small grammars of cgroup files.
 *
 * @module
 */

/** `name value` lines (memory.stat, cpu.stat). */
export function parseFlat(text: string | undefined): Record<string, number> {
  const values: Record<string, number> = {};
  for (const line of (text ?? "").split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) values[line.slice(0, space)] = Number(line.slice(space + 1));
  }
  return values;
}

/** One number; `max`, and what lies beyond 2^63, is the largest one that a signed 64-bit number can be. */
export function parseNumber(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (text === "max") return 2 ** 63;
  return Number(text);
}

/** Numbers between blanks. */
export function parseNumbers(text: string | undefined): number[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "").map(Number);
}

/** `0-2,5` as numbers. */
export function parseRanges(text: string | undefined): number[] {
  const numbers: number[] = [];
  for (const part of (text ?? "").split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (match === null) continue;
    for (let n = Number(match[1]); n <= Number(match[2] ?? match[1]); n++) numbers.push(n);
  }
  return numbers;
}

/** The entries that are neither zero, nor empty, nor undefined. */
export function withoutZeros<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(values).filter(([, value]) =>
    value !== undefined && value !== 0 && !(Array.isArray(value) && value.length === 0)
  );
  // A subset of the entries.
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
