/**
 * Clients that are slower than a container, or quicker than its shim: no byte may be lost, and nobody may wait for ever.
 *
 * @module
 */
import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { openFile, readOnce, setNonBlocking, writeOnce } from "../../ffi/descriptor.ts";
import { makeFifo } from "../../ffi/fifo.ts";
import { systemTest } from "../command.ts";
import { writeLogger } from "../stream_client.ts";
import { type BareShim, type FullSpec, withBareShim } from "./bare_shim.ts";

const programs = ["busybox"];
const lateMs = 400;

const pause = (timeMs: number) => new Promise((resolve) => setTimeout(resolve, timeMs));

/** Makes a FIFO; gives its path. */
function fifo(shim: BareShim, name: string): string {
  const path = `${shim.scratch.path}/${name}`;
  makeFifo(path, 0o700);
  return path;
}

/** What is in a FIFO for somebody who has it open and whose writers have gone. */
function rest(fd: number): string {
  const buffer = new Uint8Array(65_536);
  return new TextDecoder().decode(buffer.subarray(0, readOnce(fd, buffer)));
}

/** Opens a FIFO after a while, as a client on a busy machine does, and gives it up where its process has ended by then. */
async function lateReader(path: string, ended: () => boolean): Promise<() => string> {
  await pause(lateMs);
  assert(!ended(), "the process has ended before its output could be read");
  const reader = openFile(path, flags("O_RDONLY", "O_NONBLOCK"));
  return () => {
    using _ = reader;
    return rest(reader.number);
  };
}

systemTest(
  "a process is not started before the client has opened its FIFO, and its output is not lost",
  programs,
  () =>
    withBareShim(async (shim) => {
      const stdout = fifo(shim, "out");
      await shim.create("c", { args: ["echo", "hi"], stdout });
      let started = false;
      const start = shim.task.start({ id: "c", execId: "" }).then(() => started = true);
      const read = await lateReader(stdout, () => started);
      await start;
      assert.equal(await shim.wait("c"), 0);
      await shim.delete("c");
      assert.equal(read(), "hi\n");
    }),
);

systemTest(
  "an exec is not started before the client has opened its FIFO, and its output is not lost",
  programs,
  () =>
    withBareShim(async (shim) => {
      const stdout = fifo(shim, "out");
      await shim.run("c", { args: ["sleep", "1000"] });
      let started = false;
      const start = shim.exec("c", "e", ["echo", "hi"], { stdout }).then(() => started = true);
      const read = await lateReader(stdout, () => started);
      await start;
      assert.equal(await shim.wait("c", "e"), 0);
      await shim.delete("c", "e");
      assert.equal(read(), "hi\n");
      await shim.remove("c");
    }),
);

systemTest(
  "a process whose FIFO nobody ever opens runs all the same, after 5 s",
  programs,
  () =>
    withBareShim(async (shim) => {
      const stdout = fifo(shim, "out");
      await shim.create("c", { args: ["echo", "hi"], stdout });
      const begun = performance.now();
      await shim.task.start({ id: "c", execId: "" });
      assert(performance.now() - begun < 8_000);
      assert.equal(await shim.wait("c"), 0);
      await shim.delete("c");
    }),
);

systemTest(
  "a container that was never started is deleted at once, although nobody reads its FIFO",
  programs,
  () =>
    withBareShim(async (shim) => {
      await shim.create("c", { args: ["echo", "hi"], stdout: fifo(shim, "out") });
      const begun = performance.now();
      await shim.delete("c");
      assert(performance.now() - begun < 3_000);
    }),
);

/** Writes as soon as the shim reads, as Go's clients do, which open the FIFO on a thread; gives the time of its end. */
async function writeAndLeave(path: string, text: string): Promise<void> {
  for (;;) {
    try {
      using end = openFile(path, flags("O_WRONLY", "O_NONBLOCK"));
      writeOnce(end.number, new TextEncoder().encode(text));
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENXIO")) throw error;
      await pause(1);
    }
  }
}

systemTest(
  "a client that has written all input before the creation has answered can close it",
  programs,
  () =>
    withBareShim(async (shim) => {
      const stdin = fifo(shim, "in"), stdout = fifo(shim, "out");
      using reader = openFile(stdout, flags("O_RDONLY", "O_NONBLOCK"));
      const closed = writeAndLeave(stdin, "123").then(async () => {
        await shim.task.state({ id: "c", execId: "" });
        await shim.task.closeIO({ id: "c", execId: "", stdin: true });
      });
      // A creation that takes its time.
      const edit = (spec: FullSpec): void => {
        spec.hooks = { createRuntime: [{ path: "/bin/sleep", args: ["sleep", "0.3"] }] };
      };
      await shim.create("c", { args: ["wc", "-c"], stdin, stdout, edit });
      await shim.task.start({ id: "c", execId: "" });
      await closed;
      assert.equal(await shim.wait("c"), 0);
      await shim.delete("c");
      assert.equal(rest(reader.number), "3\n");
    }),
);

systemTest(
  "a client that has written all input before an exec has started can close it",
  programs,
  () =>
    withBareShim(async (shim) => {
      await shim.run("c", { args: ["sleep", "1000"] });
      for (let round = 0; round < 10; round++) {
        const stdin = fifo(shim, `in${round}`), stdout = fifo(shim, `out${round}`);
        using reader = openFile(stdout, flags("O_RDONLY", "O_NONBLOCK"));
        const execId = `e${round}`;
        const closed = writeAndLeave(stdin, "123").then(() => shim.task.closeIO({ id: "c", execId, stdin: true }));
        await shim.exec("c", execId, ["wc", "-c"], { stdin, stdout });
        await closed;
        assert.equal(await shim.wait("c", execId), 0);
        await shim.delete("c", execId);
        assert.equal(rest(reader.number), "3\n");
      }
      await shim.remove("c");
    }),
);

systemTest(
  "an exec whose input is closed before its start sees the end of it",
  programs,
  () =>
    withBareShim(async (shim) => {
      await shim.run("c", { args: ["sleep", "1000"] });
      const process = JSON.stringify({ args: ["cat"], cwd: "/", user: { uid: 0, gid: 0 }, env: ["PATH=/bin"] });
      const spec = { typeUrl: "", value: new TextEncoder().encode(process) };
      const streams = { stdin: fifo(shim, "in"), stdout: "", stderr: "", terminal: false };
      await shim.task.exec({ id: "c", execId: "e", ...streams, spec });
      await shim.task.closeIO({ id: "c", execId: "e", stdin: true });
      await shim.task.start({ id: "c", execId: "e" });
      assert.equal(await shim.wait("c", "e"), 0);
      await shim.delete("c", "e");
      await shim.remove("c");
    }),
);

systemTest(
  "an exec whose output somebody else holds is deleted after 2 s",
  programs,
  () =>
    withBareShim(async (shim) => {
      const stdout = fifo(shim, "out");
      using reader = openFile(stdout, flags("O_RDONLY", "O_NONBLOCK"));
      await shim.run("c", { args: ["sleep", "1000"] });
      await shim.exec("c", "e", ["sh", "-c", "sleep 1000 & echo hi"], { stdout });
      assert.equal(await shim.wait("c", "e"), 0);
      const begun = performance.now();
      await shim.delete("c", "e");
      const tookMs = performance.now() - begun;
      assert(tookMs > 1_000 && tookMs < 6_000, `it took ${tookMs} ms`);
      setNonBlocking(reader.number);
      assert.equal(rest(reader.number), "hi\n");
      await shim.remove("c");
    }),
);

systemTest("a logger that ends at once is no failure of the container", programs, () =>
  withBareShim(async (shim) => {
    const logger = `${shim.scratch.path}/logger`;
    writeLogger(logger, "exit 0");
    for (let round = 0; round < 20; round++) {
      const id = `c${round}`;
      await shim.run(id, { args: ["sh", "-c", "echo hi; exit 3"], stdout: `binary://${logger}` });
      assert.equal(await shim.wait(id), 3);
      await shim.delete(id);
    }
  }));
