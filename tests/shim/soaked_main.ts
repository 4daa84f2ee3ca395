/**
 * Barge that collects its garbage and writes what memory it uses to `BARGE_MEMORY_FILE` at each SIGUSR2; for the test of
 * shims that have run for long. To be started with V8's `--expose-gc`.
 *
 * @module
 */
const file = Deno.env.get("BARGE_MEMORY_FILE")!;
// V8 adds it to the global object.
const { gc } = globalThis as unknown as { gc: () => void };

Deno.addSignalListener("SIGUSR2", () => {
  // What is finalized in one collection is freed in the next.
  for (let round = 0; round < 3; round++) gc();
  Deno.writeTextFileSync(`${file}.new`, JSON.stringify(Deno.memoryUsage()));
  Deno.renameSync(`${file}.new`, file);
});

await import("../../main.ts");
