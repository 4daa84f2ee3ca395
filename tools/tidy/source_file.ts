/**
 * The files of the tree, as the checks of tidiness see them.
 *
 * @module
 */

/** A text file of the repository. */
export interface SourceFile {
  /** Path below the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** A rule: gives one sentence for each thing that is wrong with the file, none where it has no opinion. */
export type Check = (file: SourceFile) => string[];

/** Folders that hold nothing of ours; in a second work tree `.git` is a file. */
const foreign = new Set([".git", "node_modules", "dist", ".cache"]);
/** What is read; the empty extension stands for files such as LICENSE and `.ci/run`. */
const extensions = new Set(["ts", "json", "md", "S", "lock", "yml", "yaml", ""]);

function extensionOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot <= 0 ? "" : name.slice(dot + 1);
}

/** All text files below the root, the ones not yet known to git included. */
export function* sourceFiles(root: URL, below = ""): Generator<SourceFile> {
  for (const entry of Deno.readDirSync(new URL(`./${below}`, root))) {
    const path = below + entry.name;
    if (foreign.has(entry.name)) continue;
    if (entry.isDirectory) yield* sourceFiles(root, `${path}/`);
    if (entry.isFile && extensions.has(extensionOf(entry.name))) {
      yield { path, text: Deno.readTextFileSync(new URL(`./${path}`, root)) };
    }
  }
}

/** Whether the file is a module of ours that people wrote. */
export function isWrittenModule({ path }: SourceFile): boolean {
  return path.endsWith(".ts") && !path.includes("/gen/");
}

/** Whether the file holds tests. */
export function isTest({ path }: SourceFile): boolean {
  return path.endsWith("_test.ts");
}

/** The first folder of the path, or the file's own name where it lies in the root. */
export function roomOf(path: string): string {
  const slash = path.indexOf("/");
  return slash === -1 ? path : path.slice(0, slash);
}
