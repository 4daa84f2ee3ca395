/**
 * A registry that stops in the middle: whoever waits for it hears of a signal, and leaves nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isFailure } from "../api/errors.ts";
import { TransferDefinition } from "../api/gen/services/transfer/v1/transfer.ts";
import { ImageStore } from "../api/gen/types/transfer/imagestore.ts";
import { OCIRegistry } from "../api/gen/types/transfer/registry.ts";
import { connect, dialUnix } from "../api/grpc/client.ts";
import { StallingRegistry, stallKinds } from "../daemon/sources/registry/stalls_fixture.ts";
import { systemTest } from "./command.ts";
import { startDaemon } from "./daemon/daemon_fixture.ts";
import { BargeRun } from "./images.ts";
import { makeScratch } from "./scratch.ts";

/** How long a command may take to end that was told to. */
const endMsMax = 5_000;
/** The client begins its wait a little after it has sent its request. */
const settleMs = 200;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

for (const kind of stallKinds) {
  systemTest(`barge run ends on SIGTERM while a registry stalls: ${kind}`, [], async () => {
    await using scratch = await makeScratch();
    const run = new BargeRun(scratch);
    using registry = new StallingRegistry(kind);
    await using running = run.spawn([`${registry.host}/app:1`, "true"]);
    await registry.reached;
    await pause(kind === "connect" ? 1_000 : settleMs);
    const began = performance.now();
    running.kill("SIGTERM");
    const { code, stderr } = await running.finished;
    assert(performance.now() - began < endMsMax, `${performance.now() - began} ms`);
    assert.match(stderr, /interrupted by SIGTERM/);
    assert.equal(code, 125);
    assert.deepEqual([...Deno.readDirSync(`${run.root}/leases`)], []);
    await scratch.assertNothingLeft();
  });
}

/** Asks the daemon to pull from the registry; the call ends with the signal. */
async function transferFrom(address: string, registry: StallingRegistry, signal: AbortSignal): Promise<void> {
  using channel = connect({ open: dialUnix(address), metadata: { "containerd-namespace": "default" } });
  const source = OCIRegistry.fromPartial({ reference: `${registry.host}/app:1` });
  const store = ImageStore.fromPartial({ name: "app" });
  await channel.client(TransferDefinition).transfer({
    source: { typeUrl: "containerd.types.transfer.OCIRegistry", value: OCIRegistry.encode(source).finish() },
    destination: { typeUrl: "containerd.types.transfer.ImageStore", value: ImageStore.encode(store).finish() },
    options: undefined,
  }, { signal });
}

systemTest(
  "barge daemon ends a stalled pull with its caller, and itself on SIGTERM in the middle of one",
  [],
  async () => {
    await using daemon = await startDaemon();
    const { signal } = new AbortController();
    using last = new StallingRegistry("blob's middle");
    for (const kind of stallKinds) {
      using registry = new StallingRegistry(kind);
      const caller = new AbortController();
      const pulling = transferFrom(daemon.address, registry, caller.signal);
      await registry.reached;
      await pause(settleMs);
      caller.abort(new Error("no more"));
      await assert.rejects(pulling);
    }
    // What they held is free again: two of one blob do not wait for each other's end.
    const pulling = transferFrom(daemon.address, last, signal);
    await Promise.race([last.reached, pulling]);
    await pause(settleMs);
    const began = performance.now();
    const [, { code }] = await Promise.all([
      assert.rejects(pulling, (error) => isFailure(error, "Unavailable") || isFailure(error, "Canceled")),
      daemon.stop(),
    ]);
    assert.equal(code, 0);
    assert(performance.now() - began < endMsMax, `${performance.now() - began} ms`);
  },
);
