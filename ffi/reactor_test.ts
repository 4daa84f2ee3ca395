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
