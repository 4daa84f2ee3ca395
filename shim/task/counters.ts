/**
 * The kernel's counters in files of cgroups, which are unsigned and of 64 bits.
 *
 * @module
 */
import { readControlIfThere } from "../oci/cgroup/control_file.ts";

/** What `max` stands for. */
export const unlimited = 0xffff_ffff_ffff_ffffn;

/** One counter: `max` is {@link unlimited}, and a file that is not there 0. */
export function counterIn(path: string): bigint {
  return counterOf(readControlIfThere(path));
}

function counterOf(text: string | undefined): bigint {
  if (text === "max") return unlimited;
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** Lines `NAME VALUE` (or `NAME: VALUE`); a function gives the value of a name, 0 without one. */
export function tableIn(path: string): (name: string) => bigint {
  const values = new Map<string, string>();
  for (const line of linesIn(path)) {
    const [name, value] = line.split(/:?\s+/);
    if (name !== undefined && value !== undefined) values.set(name, value);
  }
  return (name) => counterOf(values.get(name));
}

/** The lines of a file that is there. */
export function linesIn(path: string): string[] {
  return (readControlIfThere(path) ?? "").split("\n").filter((line) => line !== "");
}

/** Lines `DEVICE KEY=VALUE …`. */
export function keyedLinesIn(path: string): { device: string; value: (key: string) => bigint }[] {
  return linesIn(path).map((line) => {
    const [device = "", ...pairs] = line.split(" ");
    const values = new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
    return { device, value: (key) => counterOf(values.get(key)) };
  });
}

/** Names of files in a directory; none where it is gone. */
export function filesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
