/**
 * Words that tell of the machine a file was written on, or of the talk around it.
 *
 * @module
 */
import type { SourceFile } from "./source_file.ts";

/** Put together here, for this file is checked as well. */
const forbidden: readonly { word: string | RegExp; why: string }[] = [
  { word: new RegExp(`(?<![\\w}.])${["", "work", ""].join("/")}`), why: "is a path of one machine" },
  { word: ["", "root", ".npm"].join("/"), why: "is a path of one machine" },
  { word: ["", "root", "dbin"].join("/"), why: "is a path of one machine" },
  { word: ["/tmp/", "claude"].join(""), why: "is a path of one machine" },
  { word: ["issue", "#"].join(" "), why: "refers to a tracker that readers do not have" },
  { word: ["TO", "DO"].join(""), why: "is a promise: do it, or say what is not supported" },
  { word: ["FIX", "ME"].join(""), why: "is a promise: do it, or say what is not supported" },
];

/** A lock file names packages by integrity, never by where they came from. */
const address = /https?:\/\/(?!github\.com|registry\.npmjs\.org)[^"\s]+/;

/** What the file should not say. */
export function checkWords({ path, text }: SourceFile): string[] {
  const problems: string[] = [];
  const lines = text.split("\n");
  for (const { word, why } of forbidden) {
    const index = lines.findIndex((line) => typeof word === "string" ? line.includes(word) : word.test(line));
    if (index !== -1) problems.push(`line ${index + 1}: ${word} ${why}`);
  }
  if (path.endsWith("deno.lock")) {
    const host = address.exec(text)?.[0];
    if (host !== undefined) problems.push(`"${host}": a lock file names no host to download from`);
  }
  return problems;
}
