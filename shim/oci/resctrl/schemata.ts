/**
 * The lines of a `schemata` file: which part of each cache, or of the memory's bandwidth, a class may use.
 *
 * @module
 */
import type { IntelRdt } from "../../../api/oci/runtime_spec.ts";

const isBandwidth = (line: string): boolean => /^\s*MB\s*:/.test(line);

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}

/**
 * What is to be written to `schemata`, each line ended; empty where the spec asks for nothing.
 *
 * The caches come first, then the bandwidth, then `schemata`, which therefore prevails. Where the bandwidth has a property
 * of its own, lines about it among those of the caches are left out (runtime-spec, config-linux.md, IntelRdt).
 */
export function wantedSchemata(rdt: Pick<IntelRdt, "l3CacheSchema" | "memBwSchema" | "schemata">): string {
  const caches = linesOf(rdt.l3CacheSchema ?? "");
  const bandwidth = linesOf(rdt.memBwSchema ?? "");
  const lines = [
    ...(bandwidth.length > 0 ? caches.filter((line) => !isBandwidth(line)) : caches),
    ...bandwidth,
    ...(rdt.schemata ?? []).flatMap(linesOf),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * The first line of what is wanted that a class does not have already, if any. `existing` is the contents of its
 * `schemata`, where the kernel aligns names and numbers with blanks. What is not mentioned may be anything, since a line
 * that is written changes the domains that it names and no others.
 */
export function firstDifference(wanted: string, existing: string): string | undefined {
  const there = valuesOf(existing);
  return linesOf(wanted).find((line) => {
    for (const [key, value] of valuesOf(line)) if (there.get(key) !== value) return true;
    return false;
  });
}

/** Values by resource and domain, such as `L3` and 0; of a line that cannot be read, one that no class has. */
function valuesOf(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of linesOf(text)) {
    const [, resource, domains] = /^\s*([A-Za-z0-9_]+)\s*:(.*)$/.exec(line) ?? [];
    if (resource === undefined || domains === undefined) {
      values.set(line, line);
      continue;
    }
    for (const domain of domains.split(";")) {
      if (domain.trim() === "") continue;
      const [id = "", value = ""] = domain.split("=").map((part) => part.trim());
      values.set(`${resource}:${id}`, withoutLeadingZeros(value.toLowerCase()));
    }
  }
  return values;
}

/** The kernel writes masks with as many digits as the longest has. */
function withoutLeadingZeros(value: string): string {
  return value.replace(/^(?:0x)?0*(?=[0-9a-f])/, "");
}
