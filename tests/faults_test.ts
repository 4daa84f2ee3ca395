/**
 * Faults: processes killed at random moments, full and read-only disks, a registry that stops half-way, and many runs.
 * Afterwards nothing may be left, and the next run must work.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runtimeTest } from "./bundle.ts";
import { execute, Running, succeed, systemTest } from "./command.ts";
import { BargeRun, runTest, writeBusyboxLayout } from "./images.ts";
import { startRegistry, writeLayout } from "./registry.ts";
import { makeScratch, randomNumbers, type Scratch } from "./scratch.ts";
import { patient } from "./patience.ts";

/** Starts a command and kills it after a time, or lets it end before. */
async function killAfter(command: readonly string[], delayMs: number): Promise<void> {
  await using running = new Running(command);
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  running.kill("SIGKILL");
  await running.finished;
}

/** A container's processes die with barge, which takes a moment. */
async function untilNoProcess(scratch: Scratch): Promise<void> {
  for (let waitedMs = 0; scratch.processes().length > 0 && waitedMs < patient(5000); waitedMs += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(scratch.processes(), []);
}

runtimeTest(
  "create that is killed at a random moment leaves what delete --force removes",
  async (bundle, runtime, scratch) => {
    const random = randomNumbers("kill create");
    await bundle.command("sleep", "100");
    const id = scratch.id("c");
    const script = 'exec "$@" </dev/null >/dev/null 2>&1';
    const command = ["sh", "-c", script, "sh", ...runtime.command("create", "--bundle", bundle.path, id)];
    const begin = performance.now();
    assert.equal((await execute(command)).code, 0);
    const usualMs = performance.now() - begin;
    await runtime.succeed(["delete", "--force", id]);
    for (let round = 0; round < 12; round++) {
      const delayMs = random() * usualMs;
      await killAfter(command, delayMs);
      await runtime.succeed(["delete", "--force", id]);
      await scratch.assertNothingLeft(`round ${round}, after ${delayMs.toFixed(1)} ms`);
    }
  },
  { only: "barge" },
);

runTest(
  "barge run that is killed at random moments loses nothing, and the next run cleans up",
  [],
  async (run, image, scratch) => {
    const random = randomNumbers("kill run");
    await run.succeed(["--quiet", image, "true"]);
    const begin = performance.now();
    await run.succeed([image, "true"]);
    const usualMs = performance.now() - begin;
    const before = await run.storeFiles();
    for (let round = 0; round < 20; round++) {
      await killAfter(run.command(`k${round}`, image, "sleep", "0.02"), random() * usualMs);
      await untilNoProcess(scratch);
    }
    assert.equal(await run.succeed([image, "echo", "works"]), "works\n");
    assert.deepEqual(await run.storeFiles(), before);
  },
);

runTest(
  "a pull that is killed at random moments goes on in the next run",
  ["docker-registry", "skopeo"],
  async (run, image, scratch) => {
    const random = randomNumbers("kill pull");
    await using registry = await startRegistry();
    await registry.push(image, "busybox:latest");
    const name = `${registry.host}/busybox:latest`;
    const begin = performance.now();
    await execute([...run.command("first", "--plain-http", name, "true")]);
    const usualMs = performance.now() - begin;
    const complete = await run.storeFiles();
    for (let round = 0; round < 10; round++) {
      await Deno.remove(run.root, { recursive: true });
      const kills = 1 + Math.floor(random() * 3);
      for (let kill = 0; kill < kills; kill++) {
        await killAfter(run.command(`k${round}`, "--plain-http", name, "true"), random() * usualMs);
        await untilNoProcess(scratch);
      }
      assert.equal(await run.succeed(["--quiet", "--plain-http", name, "echo", "works"]), "works\n");
      // A finished download's ingest may stay for a day where its process died just then.
      const files = (await run.storeFiles()).filter((path) => !path.includes("/ingest/"));
      assert.equal(files.length, complete.length, `round ${round}: ${files}`);
    }
  },
);

runTest("200 runs in a row and 20 at once leave nothing behind", [], async (run, image, scratch) => {
  await run.succeed(["--quiet", image, "true"]);
  const before = await run.storeFiles();
  // Two lanes, as there are two processors: each is a row of its own.
  const lane = async (name: string) => {
    for (let index = 0; index < 100; index++) {
      const { code, stderr } = await execute(run.command(`${name}${index}`, image, "sh", "-c", "echo x > /x; exit 3"));
      assert.equal(code, 3, stderr);
    }
  };
  await Promise.all([lane("a"), lane("b")]);
  const many = Array.from({ length: 20 }, (_, index) => execute(run.command(`m${index}`, image, "sh", "-c", "exit 4")));
  for (const { code, stderr } of await Promise.all(many)) assert.equal(code, 4, stderr);
  assert.deepEqual(await run.storeFiles(), before);
  assert.deepEqual(await run.stateFiles(), []);
  assert.deepEqual(scratch.leftovers(), []);
});

/** Mounts a small file system for a store, and unmounts it however the test ends (by the scratch directory's end). */
async function mountStore(run: BargeRun, options: string): Promise<void> {
  await Deno.mkdir(run.root);
  await succeed(["mount", "-t", "tmpfs", "-o", options, "barge-test", run.root]);
}

systemTest("a full disk is one sentence, and with more room the run works", ["busybox", "mount"], async () => {
  await using scratch = await makeScratch();
  const run = new BargeRun(scratch);
  const layout = `${scratch.path}/large`;
  await writeBusyboxLayout(layout, scratch);
  await mountStore(run, "size=1500k");
  const { code, stderr } = await run.execute(["--quiet", `oci:${layout}:latest`, "true"]);
  assert.equal(code, 125, stderr);
  assert.match(stderr, /no space left|disk is full/i);
  assert.equal(stderr.trim().split("\n").length, 1, stderr);
  assert.deepEqual(await run.stateFiles(), []);
  await succeed(["mount", "-o", "remount,size=64m", run.root]);
  assert.equal(await run.succeed(["--quiet", `oci:${layout}:latest`, "echo", "works"]), "works\n");
  await succeed(["umount", run.root]);
  await scratch.assertNothingLeft();
});

systemTest("a read-only store is one sentence", ["busybox", "mount"], async () => {
  await using scratch = await makeScratch();
  const run = new BargeRun(scratch);
  const layout = `${scratch.path}/image`;
  await writeBusyboxLayout(layout, scratch);
  await mountStore(run, "size=64m");
  await run.succeed(["--quiet", `oci:${layout}:latest`, "true"]);
  await succeed(["mount", "-o", "remount,ro", run.root]);
  const { code, stderr } = await run.execute(["--quiet", `oci:${layout}:latest`, "true"]);
  assert.equal(code, 125);
  assert.match(stderr, /read-only/i);
  assert.equal(stderr.trim().split("\n").length, 1, stderr);
  assert.deepEqual(await run.stateFiles(), []);
  await succeed(["umount", run.root]);
  await scratch.assertNothingLeft();
});

/** A proxy before a registry: counts the bytes of blobs that it passes on, and cuts connections after some. */
class CuttingProxy implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  /** Bytes passed on to clients. */
  passed = 0;
  /** After so many bytes of a connection it is cut. */
  cutAfter = Infinity;

  constructor(readonly target: number) {
    this.#serve();
  }

  get host(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) this.#join(client).catch(() => {});
  }

  async #join(client: Deno.TcpConn): Promise<void> {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: this.target });
    client.readable.pipeTo(server.writable).catch(() => {});
    let left = this.cutAfter;
    const buffer = new Uint8Array(16384);
    for (;;) {
      const count = await server.read(buffer).catch(() => null);
      if (count === null || left <= 0) break;
      const part = buffer.subarray(0, Math.min(count, left));
      left -= part.length;
      this.passed += part.length;
      for (let at = 0; at < part.length;) at += await client.write(part.subarray(at));
    }
    for (const connection of [client, server]) {
      try {
        connection.close();
      } catch {
        // The other side has closed it.
      }
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

systemTest("a pull through a connection that is cut resumes where it was", ["docker-registry", "skopeo"], async () => {
  await using scratch = await makeScratch();
  const run = new BargeRun(scratch);
  const bytes = new Uint8Array(20 << 20);
  for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  await Deno.mkdir(`${scratch.path}/tree/bin`, { recursive: true });
  await Deno.writeFile(`${scratch.path}/tree/random`, bytes);
  await Deno.copyFile("/usr/bin/busybox", `${scratch.path}/tree/bin/true`);
  const { tarOf } = await import("./registry.ts");
  await writeLayout(`${scratch.path}/layout`, [await tarOf(`${scratch.path}/tree`)], { run: { Env: ["PATH=/bin"] } });
  await using registry = await startRegistry();
  await registry.push(`oci:${scratch.path}/layout:latest`, "large:latest");
  using proxy = new CuttingProxy(Number(registry.host.split(":")[1]));
  proxy.cutAfter = 6 << 20;
  const name = `${proxy.host}/large:latest`;
  let tries = 0;
  for (; tries < 6; tries++) {
    const { code, stderr } = await run.execute(["--quiet", "--plain-http", name, "true"]);
    if (code === 0) break;
    assert.equal(code, 125, stderr);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
  }
  assert(tries < 6, "the pull never got to its end");
  const overhead = proxy.passed / bytes.length;
  assert(overhead < 1.4, `${proxy.passed} bytes came over the wire for a layer of ${bytes.length}`);
  await scratch.assertNothingLeft();
});
