import assert from "node:assert/strict";
import { runFile } from "./run_file.ts";

/** Runs a test with this body in a directory of its own. */
async function runBody(body: string, options: { msMax: number; hurry?: AbortSignal }) {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/a_test.ts`, `Deno.test("a", async () => { ${body} });\n`);
    return await runFile(new URL(`file://${directory}/`), "a_test.ts", { before: ["nice"], show: false, ...options });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const wait = 'while (await Deno.stat(Deno.env.get("BARGE_TEST_HURRY")!).then(() => false, () => true)) ' +
  "await new Promise((resolve) => setTimeout(resolve, 10));";

Deno.test("runFile() tells the tests when they are to hurry, before they begin too", async () => {
  const asked = new AbortController();
  const running = runBody(wait, { msMax: 60_000, hurry: asked.signal });
  asked.abort();
  assert.deepEqual((await running).counts, { passed: 1, failed: 0, skipped: 0 });
  assert.deepEqual((await runBody(wait, { msMax: 60_000, hurry: AbortSignal.abort() })).counts.passed, 1);
});

Deno.test("runFile() kills tests whose time is over, which have failed then", async () => {
  const { counts, output } = await runBody(wait, { msMax: 500 });
  assert.deepEqual(counts, { passed: 0, failed: 1, skipped: 0 });
  assert.match(output, /a_test\.ts: killed after 0\.\d minutes/);
});
