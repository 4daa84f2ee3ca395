/**
 * The log of another runtime (`--log-format json`).
 *
 * @module
 */

/** The last error in the log; undefined where it has none or is not there. */
export function lastLogError(path: string): string | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
  return text.split("\n").map(errorIn).findLast((message) => message !== undefined);
}

function errorIn(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== "object" || entry === null) return undefined;
    const { level, msg } = entry as { level?: unknown; msg?: unknown };
    return level === "error" && typeof msg === "string" ? msg : undefined;
  } catch {
    return undefined;
  }
}
