/**
 * Every module and every exported symbol says what it is.
 *
 * @module
 */
import { isTest, isWrittenModule, type SourceFile } from "./source_file.ts";

const declaration =
  /^export (?:default )?(?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|const|let|interface|type|enum|namespace) (\w+)/;

/** Whether a comment ends on the line before `index`, and is not the module's own. */
function hasComment(lines: readonly string[], index: number): boolean {
  if (lines[index - 1]?.trimEnd().endsWith("*/") !== true) return false;
  const start = lines.findLastIndex((line, at) => at < index && line.startsWith("/**"));
  return start !== -1 && !lines.slice(start, index).some((line) => line.includes("@module"));
}

/** The declarations that have no comment before them, and whether the module itself has none. */
export function checkDocComments(file: SourceFile): string[] {
  if (!isWrittenModule(file) || isTest(file)) return [];
  const problems: string[] = [];
  const lines = file.text.split("\n");
  if (lines.find((line) => line !== "" && !line.startsWith("#!")) !== "/**" && !file.text.startsWith("/** ")) {
    problems.push("the module does not begin with a comment that says what it holds");
  }
  const documented = new Set<string>();
  lines.forEach((line, index) => {
    const name = declaration.exec(line)?.[1];
    if (name === undefined) return;
    // The second signature of an overloaded function is explained by the first.
    if (hasComment(lines, index)) documented.add(name);
    else if (!documented.has(name)) problems.push(`line ${index + 1}: "${name}" is exported without a comment`);
  });
  return problems;
}
