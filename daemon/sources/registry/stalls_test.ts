import assert from "node:assert/strict";
import { Failure } from "../../../api/errors.ts";
import { openSource } from "../source.ts";
import { base, layer, manifest } from "./fake_registry.ts";
import { StallingRegistry, stallKinds } from "./stalls_fixture.ts";

/** Far more than the time that a stall is allowed. */
const patienceMs = 10_000;

async function pullFrom(registry: StallingRegistry, stallMs: number, signal: AbortSignal): Promise<void> {
  const { plainHttp: _, ...options } = base;
  await using source = await openSource(`${registry.host}/app:1`, {
    ...options,
    limits: { ...base.limits, stallMs },
  });
  const root = await source.resolve(signal);
  assert.equal(root.digest, manifest.digest);
  await new Response(await source.open(root, 0, signal)).bytes();
  await new Response(await source.open(layer, 0, signal)).bytes();
}

/** The error that ends the promise. Throws where it lasts too long or succeeds. */
async function endOf(promise: Promise<void>): Promise<unknown> {
  const { promise: late, resolve } = Promise.withResolvers<unknown>();
  const timer = setTimeout(() => resolve(new Error(`it goes on after ${patienceMs} ms`)), patienceMs);
  const ended = promise.then(() => new Error("it has succeeded"), (error: unknown) => error);
  try {
    return await Promise.race([ended, late]);
  } finally {
    clearTimeout(timer);
  }
}

// Connections of a client that has gone end when the system says so.
const options = { sanitizeOps: false, sanitizeResources: false };

for (const kind of stallKinds) {
  Deno.test(`RegistrySource ends in time where a registry stalls: ${kind}`, options, async () => {
    using registry = new StallingRegistry(kind);
    const error = await endOf(pullFrom(registry, 300, new AbortController().signal));
    assert(error instanceof Failure, String(error));
    // Of an error the status tells enough.
    const isRefusal = kind === "error's body";
    assert.equal(error.code, isRefusal ? "PermissionDenied" : "DeadlineExceeded", error.message);
    const text = isRefusal ? /denies access/ : /sent nothing for 0\.3 s$/;
    assert.match(error.message, /^cannot pull 127\.0\.0\.1:\d+\/app:1: 127\.0\.0\.1:\d+ /);
    assert.match(error.message, text);
  });

  Deno.test(`RegistrySource hears of an abort while a registry stalls: ${kind}`, options, async () => {
    using registry = new StallingRegistry(kind);
    const controller = new AbortController();
    const reason = new Error("no more");
    const ended = endOf(pullFrom(registry, 60_000, controller.signal));
    await registry.reached;
    // The client has to begin its wait.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const began = performance.now();
    controller.abort(reason);
    assert.equal(await ended, reason);
    assert(performance.now() - began < 1_000, `${performance.now() - began} ms`);
  });
}

Deno.test("RegistrySource gives up a document that comes in drops", options, async () => {
  const timers = new Set<ReturnType<typeof setInterval>>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    if (request.method === "HEAD") return new Response(null, { status: 405 });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        timers.add(setInterval(() => {
          try {
            controller.enqueue(new Uint8Array([0x20]));
          } catch {
            // The client has gone.
          }
        }, 50));
      },
    });
    return new Response(body);
  });
  await using source = await openSource(`127.0.0.1:${server.addr.port}/app:1`, {
    ...base,
    limits: { ...base.limits, stallMs: 200 },
  });
  await assert.rejects(source.resolve(new AbortController().signal), /sends \d+ bytes in 1 s, and no end/);
  for (const timer of timers) clearInterval(timer);
});
