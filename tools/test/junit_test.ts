import assert from "node:assert/strict";
import { countCases, countRun, summary, sumOf } from "./junit.ts";

const report = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="3" failures="1" errors="0" time="0.048">
    <testsuite name="./a_test.ts" tests="3" disabled="1" errors="0" failures="1">
        <testcase name="ok" classname="./a_test.ts" time="0.000" line="1" col="6">
        </testcase>
        <testcase name="skip &lt;failure&gt;" classname="./a_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="bad" classname="./a_test.ts" time="0.001" line="3" col="6">
            <failure message="Uncaught Error: x">Error: &lt;skipped/&gt;</failure>
        </testcase>
    </testsuite>
</testsuites>
`;

Deno.test("countCases() tells passed, failed and ignored cases apart", () => {
  assert.deepEqual(countCases(report), { passed: 1, failed: 1, skipped: 1 });
});

Deno.test("countRun() counts a run that failed without a failed case as one", () => {
  assert.deepEqual(countRun('<testsuites tests="0"></testsuites>', false), { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(countRun(undefined, false), { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(countRun(report, false), { passed: 1, failed: 1, skipped: 1 });
});

Deno.test("summary() leaves out skipped where none was", () => {
  assert.equal(summary(sumOf([countCases(report), countCases(report)])), "2 passed, 2 failed, 2 skipped");
  assert.equal(summary({ passed: 3, failed: 0, skipped: 0 }), "3 passed, 0 failed");
});

Deno.test("countCases() counts what deno test itself reports", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${directory}/x_test.ts`,
      'Deno.test("a", () => {});\nDeno.test({ name: "b", ignore: true, fn() {} });\n' +
        'Deno.test("c <skipped/>", () => { throw new Error("<failure/>"); });\n',
    );
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", "--no-config", `--junit-path=${directory}/out.xml`, `${directory}/x_test.ts`],
      stdout: "null",
      stderr: "null",
    }).output();
    assert.equal(success, false);
    const counts = countRun(await Deno.readTextFile(`${directory}/out.xml`), success);
    assert.deepEqual(counts, { passed: 1, failed: 1, skipped: 1 });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
