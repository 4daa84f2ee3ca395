import { deepEqual, equal, rejects } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { JobWorker } from "./job_worker.ts";
import { WorkerPool } from "./worker_pool.ts";

const signal = AbortSignal.timeout(60_000);

Deno.test("JobWorker tells when its thread dies, and works on with another", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${dir}/w.ts`,
      `onmessage = ({ data: { id, job } }) => {
        if (job === "die") setTimeout(() => { throw new Error("bang"); }, 0);
        else postMessage({ kind: "done", id, result: job });
      };`,
    );
    using worker = new JobWorker<string, string>(new URL(`file://${dir}/w.ts`), "mortal");
    equal(await worker.run("one", signal), "one");
    await rejects(worker.run("die", signal), (error) => isFailure(error, "Internal") && /bang/.test(error.message));
    equal(await worker.run("two", signal), "two");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("WorkerPool serves in turn, lets go of who gave up, and ends idle workers", async () => {
  let made = 0;
  let ended = 0;
  const pool = new WorkerPool(() => (made++, { [Symbol.dispose]: () => void ended++ }), { size: 1, idleMs: 20 });
  const { promise, resolve } = Promise.withResolvers<void>();
  const order: number[] = [];
  const first = pool.use(signal, () => promise);
  const leaving = new AbortController();
  const second = pool.use(leaving.signal, () => Promise.resolve(order.push(2)));
  const third = pool.use(signal, () => Promise.resolve(order.push(3)));
  leaving.abort(new Error("left"));
  await rejects(second, /left/);
  resolve();
  await Promise.all([first, third]);
  deepEqual([order, made, ended], [[3], 1, 0]);
  await new Promise((done) => setTimeout(done, 100));
  equal(ended, 1);
  await pool.use(signal, () => Promise.resolve());
  equal(made, 2);
  pool[Symbol.dispose]();
  equal(ended, 2);
});
