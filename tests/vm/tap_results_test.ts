import { deepEqual } from "node:assert/strict";
import { tapResults } from "./case.ts";

Deno.test("tapResults() tells passed, failed and ignored tests, without their steps", () => {
  const text = "TAP version 14\n# ./a_test.ts\nok 1 - it works\n    ok 1 - a step\nnot ok 2 - it fails - often\n" +
    "ok 3 - it waits # SKIP\n1..3\n";
  deepEqual(tapResults(text), [
    { name: "it works", ended: "passed" },
    { name: "it fails - often", ended: "failed" },
    { name: "it waits", ended: "ignored" },
  ]);
});
