import assert from "node:assert/strict";
import { flags } from "./constants.ts";
import { makePipe, readOnce, writeOnce } from "./descriptor.ts";
import { Reactor } from "./reactor.ts";

/** One call waits in the kernel for the whole life of a reactor. */
const wholeProcess = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  ...wholeProcess,
  name: "Reactor goes on when a handler throws, and the error is an unhandled rejection",
  fn: async () => {
    using reactor = new Reactor();
    const bad = makePipe(), good = makePipe();
    const reasons: string[] = [];
    const note = (event: PromiseRejectionEvent): void => {
      event.preventDefault();
      reasons.push(String(event.reason));
    };
    globalThis.addEventListener("unhandledrejection", note);
    try {
      const badWatch = reactor.watch(bad.read.number, flags("EPOLLIN"), () => {
        badWatch.close();
        throw new RangeError("thrown by a handler");
      });
      writeOnce(bad.write.number, new Uint8Array(1));
      await new Promise<void>((resolve) => {
        const watch = reactor.watch(good.read.number, flags("EPOLLIN"), () => {
          watch.close();
          readOnce(good.read.number, new Uint8Array(1));
          resolve();
        });
        setTimeout(() => writeOnce(good.write.number, new Uint8Array(1)), 10);
      });
      // Rejections are told of after the tasks of their turn.
      await new Promise((resolve) => setTimeout(resolve, 0));
      assert.deepEqual(reasons, ["RangeError: thrown by a handler"]);
    } finally {
      globalThis.removeEventListener("unhandledrejection", note);
      for (const { read, write } of [bad, good]) {
        read.close();
        write.close();
      }
    }
  },
});

/** Numbers of this process's eventfds with what is unread in each. */
function eventCounters(): Map<string, number> {
  const counters = new Map<string, number>();
  for (const { name } of [...Deno.readDirSync("/proc/self/fd")]) {
    try {
      const count = /^eventfd-count:\s*(\w+)$/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${name}`))?.[1];
      if (count !== undefined) counters.set(name, parseInt(count, 16));
    } catch {
      // The descriptor by which the directory was read.
    }
  }
  return counters;
}

Deno.test({
  ...wholeProcess,
  name: "Reactor that nothing was left for, and then something, waits in the kernel and does not spin",
  fn: async () => {
    const before = eventCounters();
    using reactor = new Reactor();
    const own = [...eventCounters().keys()].filter((name) => !before.has(name));
    assert.equal(own.length, 1);
    const pipe = makePipe();
    try {
      reactor.watch(pipe.read.number, flags("EPOLLIN"), () => {}).close();
      using watch = new DisposableStack();
      const again = reactor.watch(pipe.read.number, flags("EPOLLIN"), () => {});
      watch.defer(() => again.close());
      assert.equal(eventCounters().get(own[0]!), 1);
      for (let waitedMs = 0; eventCounters().get(own[0]!) !== 0; waitedMs += 5) {
        assert.ok(waitedMs < 20_000, "the interruption is never read, and each wait ends at once");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    } finally {
      pipe.read.close();
      pipe.write.close();
    }
  },
});
