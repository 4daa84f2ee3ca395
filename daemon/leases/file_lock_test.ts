import assert from "node:assert/strict";
import { FileLock } from "./file_lock.ts";

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-lock-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const never = new AbortController().signal;

Deno.test("FileLock.tryAcquire() excludes a second holder in the same process until release()", () =>
  inTempDir((dir) => {
    const first = FileLock.tryAcquire(`${dir}/lock`, { create: true })!;
    assert.equal(FileLock.tryAcquire(`${dir}/lock`), undefined);
    first.release();
    first.release();
    using second = FileLock.tryAcquire(`${dir}/lock`);
    assert.ok(second);
    return Promise.resolve();
  }));

Deno.test("FileLock.tryAcquire() locks a directory, and does not make a missing file unless told to", () =>
  inTempDir((dir) => {
    using lock = FileLock.tryAcquire(dir);
    assert.ok(lock);
    assert.equal(FileLock.tryAcquire(dir), undefined);
    assert.throws(() => FileLock.tryAcquire(`${dir}/missing`), Deno.errors.NotFound);
    return Promise.resolve();
  }));

Deno.test("FileLock.acquire() does not take the lock of a file that its last holder removed", () =>
  inTempDir(async (dir) => {
    const path = `${dir}/lock`;
    const first = FileLock.tryAcquire(path, { create: true })!;
    const waiting = FileLock.acquire(path, never, { create: true });
    await new Promise((resolve) => setTimeout(resolve, 30));
    first.release({ remove: true });
    using second = await waiting;
    assert.equal(FileLock.tryAcquire(path, { create: true }), undefined);
    assert.equal(second.path, path);
  }));

Deno.test("FileLock.acquire() ends with the signal's reason", () =>
  inTempDir(async (dir) => {
    using _held = FileLock.tryAcquire(`${dir}/lock`, { create: true })!;
    await assert.rejects(FileLock.acquire(`${dir}/lock`, AbortSignal.timeout(30)), { name: "TimeoutError" });
  }));

Deno.test("FileLock is free again after its process was killed", () =>
  inTempDir(async (dir) => {
    const program = `import { FileLock } from ${JSON.stringify(new URL("./file_lock.ts", import.meta.url).href)};
      globalThis.held = FileLock.tryAcquire(${JSON.stringify(`${dir}/lock`)}, { create: true });
      console.log("held"); setInterval(() => {}, 1000);`;
    await using child = new Deno.Command(Deno.execPath(), {
      args: ["eval", program],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    assert.equal(FileLock.tryAcquire(`${dir}/lock`), undefined);
    child.kill("SIGKILL");
    using _lock = await FileLock.acquire(`${dir}/lock`, AbortSignal.timeout(5000));
    await reader.cancel();
    await child.status;
  }));
