/**
 * Which files a configuration's `imports` stand for.
 *
 * @module
 */

/** Absolute or relative, without `.`, `..` inside, and repeated slashes, as Go's `filepath.Clean`. */
export function cleanPath(path: string): string {
  const rooted = path.startsWith("/");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (!rooted) parts.push("..");
  }
  const joined = parts.join("/");
  return rooted ? `/${joined}` : joined === "" ? "." : joined;
}

/**
 * The paths of one entry, which is relative to the directory of the file that imports. Entries with `*` are patterns as
 * Go's `filepath.Glob` has them: in order, and none where nothing matches; others are given whether there is a file or
 * not.
 */
export async function expandImport(entry: string, importer: string): Promise<string[]> {
  const directory = importer.slice(0, importer.lastIndexOf("/") + 1);
  const path = cleanPath(entry.startsWith("/") ? entry : directory + entry);
  return path.includes("*") ? await glob(path) : [path];
}

/** Whether a part of a pattern stands for anything but itself. */
const special = /[*?[\\]/;

async function glob(pattern: string): Promise<string[]> {
  let found = [pattern.startsWith("/") ? "/" : ""];
  for (const part of pattern.split("/").filter((part) => part !== "")) {
    const next: string[] = [];
    for (const directory of found) {
      if (special.test(part)) next.push(...await matchesIn(directory, part));
      else if (await exists(directory + part)) next.push(directory + part);
    }
    found = next.map((path) => path + "/");
  }
  return found.map((path) => path.slice(0, -1));
}

async function matchesIn(directory: string, part: string): Promise<string[]> {
  const expression = expressionOf(part);
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(directory === "" ? "." : directory)) {
      if (expression.test(name)) names.push(name);
    }
  } catch (error) {
    // As with Go, a directory that cannot be read has no matches.
    if (!(error instanceof Error)) throw error;
    return [];
  }
  return names.sort().map((name) => directory + name);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    // As above: whatever the reason is, it does not match.
    if (!(error instanceof Error)) throw error;
    return false;
  }
}

/** `*`, `?`, `[a-z]`, `[^a-z]` and `\x`, none of which matches a slash. A pattern that Go refuses matches nothing. */
function expressionOf(pattern: string): RegExp {
  const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&");
  const source = pattern.replace(/\*|\?|\[(\^?)([^\]]+)\]|\\(.)|[^]/g, (token, not, set, escaped) => {
    if (token === "*") return "[^/]*";
    if (token === "?") return "[^/]";
    if (set !== undefined) return `[${not}${set.replace(/[\\\]^[]/g, "\\$&")}]`;
    return literal(escaped ?? token);
  });
  try {
    return new RegExp(`^${source}$`, "u");
  } catch {
    // Such as a range whose ends are exchanged.
    return /^(?!)/;
  }
}
