import assert from "node:assert/strict";
import { untidy } from "../tidy.ts";
import { checkArrows } from "./arrows.ts";
import { checkDocComments } from "./doc_comments.ts";
import { checkEnvironment } from "./environment.ts";
import { staleFiles } from "./generated.ts";
import { checkLength, linesMax } from "./length.ts";
import { checkName } from "./names.ts";
import { checkRemovals } from "./removals.ts";
import type { Check } from "./source_file.ts";
import { checkWarmPath } from "./warm_path.ts";
import { checkWords } from "./words.ts";

function wrong(check: Check, path: string, text: string): string {
  return check({ path, text }).join("\n");
}

Deno.test("checkArrows() lets a room import itself and what lies below", () => {
  const text = 'import { a } from "../ffi/a.ts";\nimport type { B } from "../api/b.ts";\nexport * from "./c.ts";\n';
  assert.equal(wrong(checkArrows, "shim/x.ts", text), "");
});

Deno.test("checkArrows() refuses imports upwards, of any form", () => {
  assert.match(wrong(checkArrows, "ffi/x.ts", 'import { a } from "../shim/a.ts";\n'), /ffi imports shim/);
  assert.match(wrong(checkArrows, "ffi/x.ts", 'import type { A } from "../api/a.ts";\n'), /ffi imports api/);
  assert.match(wrong(checkArrows, "api/x.ts", 'export {\n  a,\n  b,\n} from "../ffi/a.ts";\n'), /api imports ffi/);
  assert.match(wrong(checkArrows, "daemon/d/x.ts", '  await import("../../cli/a.ts");\n'), /daemon imports cli/);
  assert.match(wrong(checkArrows, "shim/x.ts", 'import "../daemon/a.ts";\n'), /shim imports daemon/);
  assert.match(
    wrong(checkArrows, "shim/x.ts", 'new Worker(new URL("../cli/w.ts", import.meta.url));\n'),
    /shim imports cli/,
  );
  assert.match(wrong(checkArrows, "elsewhere/x.ts", ""), /no room/);
});

Deno.test("checkArrows() does not read comments", () => {
  assert.equal(wrong(checkArrows, "ffi/x.ts", '/**\n * const x = import("../cli/a.ts")\n */\n'), "");
});

Deno.test("checkArrows() lets unit tests use tests/ and modules not", () => {
  const text = 'import { a } from "../tests/a.ts";\n';
  assert.equal(wrong(checkArrows, "ffi/x_test.ts", text), "");
  assert.match(wrong(checkArrows, "ffi/x.ts", text), /ffi imports tests/);
});

Deno.test("checkArrows() refuses static imports in main.ts", () => {
  assert.match(wrong(checkArrows, "main.ts", 'import { a } from "./cli/a.ts";\n'), /main.ts only has import\(\)/);
  assert.equal(wrong(checkArrows, "main.ts", 'x = () => import("./cli/a.ts");\n'), "");
});

Deno.test("checkName() refuses names that say nothing", () => {
  assert.match(wrong(checkName, "shim/utils.ts", ""), /utils/);
  assert.match(wrong(checkName, "shim/path_helpers.ts", ""), /path_helpers/);
  assert.match(wrong(checkName, "shim/common/x.ts", ""), /common/);
  assert.match(wrong(checkName, "shim/camelCase.ts", ""), /lower-case/);
  assert.equal(wrong(checkName, "shim/chain_id.ts", ""), "");
});

Deno.test("checkRemovals() refuses to remove trees by recursion, but for tests and tools", () => {
  const text = "await Deno.remove(path);\nawait Deno.remove(path, {\n  recursive: true,\n});\n";
  assert.match(wrong(checkRemovals, "daemon/x.ts", text), /line 2: .*use removeTree\(\)/);
  assert.match(wrong(checkRemovals, "cli/x.ts", "Deno.removeSync(path, { recursive: true });\n"), /line 1/);
  assert.match(wrong(checkRemovals, "cli/x.ts", "rmSync(path, { recursive: true });\n"), /line 1/);
  assert.equal(
    wrong(checkRemovals, "cli/x.ts", "Deno.removeSync(path);\nDeno.mkdirSync(p, { recursive: true });\n"),
    "",
  );
  for (const path of ["tests/x.ts", "tools/x.ts", "daemon/x_test.ts", "api/x_fixture.ts"]) {
    assert.equal(wrong(checkRemovals, path, text), "");
  }
});

Deno.test("checkLength() refuses long files and wide lines, not generated ones", () => {
  const long = "x;\n".repeat(linesMax + 1);
  assert.match(wrong(checkLength, "shim/x.ts", long), /451 lines/);
  assert.equal(wrong(checkLength, "shim/x.ts", "x;\n".repeat(linesMax)), "");
  assert.equal(wrong(checkLength, "ffi/gen/x.ts", long), "");
  assert.match(wrong(checkLength, "shim/x.ts", `${"x".repeat(141)}\n`), /141 columns/);
});

Deno.test("checkDocComments() finds modules and exports without a comment", () => {
  const module = "/**\n * A module.\n *\n * @module\n */\n";
  assert.match(wrong(checkDocComments, "shim/x.ts", "/** A. */\nexport const a = 1;\nexport const b = 2;\n"), /"b"/);
  for (const kind of ["function f()", "async function f()", "class f", "interface f", "type f", "abstract class f"]) {
    assert.match(wrong(checkDocComments, "shim/x.ts", `${module}export ${kind}\n`), /line 6: "f"/);
    assert.equal(wrong(checkDocComments, "shim/x.ts", `${module}/** F. */\nexport ${kind}\n`), "");
  }
  assert.match(wrong(checkDocComments, "shim/x.ts", "const a = 1;\n"), /does not begin with a comment/);
  const overloads = "/** F. */\nexport function f(a: string): void;\nexport function f(a: number): void;\n";
  assert.equal(wrong(checkDocComments, "shim/x.ts", module + overloads), "");
});

Deno.test("checkWords() finds paths of a machine and promises, and hosts in a lock file", () => {
  assert.match(wrong(checkWords, "README.md", `cd ${"/wo"}rk/main\n`), /path of one machine/);
  assert.equal(wrong(checkWords, "a.ts", "`${directory}/work/x`\n"), "");
  assert.match(wrong(checkWords, "a.ts", `// ${"TO"}DO: later\n`), /promise/);
  assert.match(wrong(checkWords, "deno.lock", '"tarball": "https://mirror.example/x.tgz"'), /lock file/);
});

Deno.test("checkEnvironment() finds programs that would get Deno's environment", () => {
  const problems = (text: string, path = "daemon/a.ts") => checkEnvironment({ path, text }).length;
  assert.equal(problems('new Deno.Command("x", { args: [], stdin: "null" })'), 1);
  assert.equal(problems('new Deno.Command("x", { args: [], env: callersVariables(), clearEnv: true })'), 0);
  assert.equal(problems("const env = Deno.env.toObject();"), 1);
  assert.equal(problems("const env = Deno.env.toObject();", "ffi/launch.ts"), 0);
  assert.equal(problems('new Deno.Command("x")', "daemon/a_test.ts"), 0);
});

Deno.test("checkWarmPath() follows static imports to node: and npm: modules", () => {
  const files = [
    { path: "cli/run/run.ts", text: 'import { a } from "../a.ts";\nimport "node:sqlite";\n' },
    { path: "cli/a.ts", text: 'import { b } from "node:crypto";\nimport type { C } from "node:fs";\n' },
    { path: "cli/oci/oci.ts", text: 'const a = () => import("../a.ts");\n' },
  ];
  assert.deepEqual(checkWarmPath(files), [
    'cli/a.ts: "node:crypto" is loaded at the start of cli/run/run.ts → cli/a.ts: import() it where it is needed',
  ]);
});

Deno.test("staleFiles() names generated files that differ or are missing", () => {
  const wanted = new Map([["ffi/gen/a.ts", "1"], ["ffi/gen/b.ts", "2"], ["ffi/gen/c.ts", "3"]]);
  const there = new Map([["ffi/gen/a.ts", "1"], ["ffi/gen/b.ts", "x"]]);
  assert.equal(staleFiles(wanted, (path) => there.get(path)).length, 2);
});

Deno.test("untidy() finds nothing in this tree", () => {
  assert.deepEqual(untidy(new URL("../../", import.meta.url)), []);
});
