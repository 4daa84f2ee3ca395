/**
 * Checks what neither the formatter, the linter nor the compiler knows: import arrows, names, lengths, comments,
 * leftovers, generated files. `deno run -A tools/tidy.ts` prints one line for each problem and fails if there is any.
 *
 * @module
 */
import { checkArrows } from "./tidy/arrows.ts";
import { checkDocComments } from "./tidy/doc_comments.ts";
import { checkEnvironment } from "./tidy/environment.ts";
import { checkGenerated, generatorsLack } from "./tidy/generated.ts";
import { checkLength } from "./tidy/length.ts";
import { checkName } from "./tidy/names.ts";
import { checkRemovals } from "./tidy/removals.ts";
import { type Check, sourceFiles } from "./tidy/source_file.ts";
import { checkWarmPath } from "./tidy/warm_path.ts";
import { checkWords } from "./tidy/words.ts";

const checks: readonly Check[] = [
  checkArrows,
  checkName,
  checkLength,
  checkDocComments,
  checkEnvironment,
  checkWords,
  checkRemovals,
];

/** Everything that is untidy below the root, one line each, sorted. Generated files are not looked at here. */
export function untidy(root: URL): string[] {
  const files = [...sourceFiles(root)];
  const problems = files.flatMap((file) =>
    checks.flatMap((check) => check(file).map((problem) => `${file.path}: ${problem}`))
  );
  return [...problems, ...checkWarmPath(files)].sort();
}

if (import.meta.main) {
  const root = new URL("../", import.meta.url);
  const problems = untidy(root);
  const lack = generatorsLack();
  if (lack === undefined) problems.push(...await checkGenerated(root));
  else console.log(`tidy: generated files are not checked: ${lack} is missing`);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) Deno.exit(1);
}
