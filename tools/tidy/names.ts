/**
 * Names of files tell what is inside.
 *
 * @module
 */
import type { SourceFile } from "./source_file.ts";

const empty = new Set(["util", "utils", "helper", "helpers", "common", "misc", "shared", "stuff"]);

/** What is wrong with the file's name or with a folder's. */
export function checkName({ path }: SourceFile): string[] {
  const problems: string[] = [];
  for (const part of path.split("/")) {
    const bare = part.replace(/\.[a-zA-Z]+$/, "");
    if (bare.split("_").some((word) => empty.has(word))) {
      problems.push(`the name "${part}" does not tell what is inside: name it for its noun or verb`);
    }
  }
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (name.endsWith(".ts") && !/^[a-z][a-z0-9_]*\.ts$/.test(name)) {
    problems.push(`modules have names of lower-case words joined by "_", such as chain_id.ts`);
  }
  return problems;
}
