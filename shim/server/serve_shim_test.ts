import assert from "node:assert/strict";
import { TaskDefinition } from "../../api/gen/runtime/task/v3/shim.ts";
import { SandboxDefinition } from "../../api/gen/runtime/sandbox/v1/sandbox.ts";
import { GroupDefinition } from "../../api/gen/shim/v1/group.ts";
import { connect, dialUnix } from "../../api/ttrpc/client.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { listenStream } from "../../ffi/stream_listener.ts";
import { serveShim } from "./serve_shim.ts";

/** A shim in this process; the body's client is connected to it, and has to end it. */
async function withShim(
  body: (channel: ReturnType<typeof connect>, paths: { debug: string }) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const reactor = new Reactor();
  const socket = `${directory}/s`, debug = `${directory}/d`;
  const served = serveShim(reactor, {
    namespace: "n",
    bundle: directory,
    listener: listenStream(reactor, socket, { mode: 0o600 }),
    socket,
    ttrpcAddress: "",
    placesMax: 5,
    lingers: false,
    debugs: false,
    debugSocket: debug,
  });
  try {
    using channel = connect({ open: dialUnix(socket) });
    await body(channel, { debug });
    await served;
    assert.deepEqual([...Deno.readDirSync(directory)], []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The server keeps its signal listeners and the reactor until the process ends. */
const wholeProcess = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  ...wholeProcess,
  name: "serveShim() answers both versions of the task service, and ends at a shutdown",
  fn: async () => {
    await withShim(async (channel, { debug }) => {
      const task = channel.client(TaskDefinition);
      assert.deepEqual(await task.connect({ id: "x" }), { shimPid: Deno.pid, taskPid: 0, version: "" });
      await assert.rejects(task.state({ id: "x", execId: "" }), { code: "NotFound", message: /container not created/ });
      const { places, containers } = await channel.client(GroupDefinition).info({});
      assert.deepEqual([places, containers], [5, 0]);
      using connection = await Deno.connect({ transport: "unix", path: debug });
      const told = JSON.parse(await new Response(connection.readable).text());
      assert.deepEqual([told.pid, told.containers], [Deno.pid, []]);
      await task.shutdown({ id: "x", now: false });
    });
  },
});

Deno.test({
  ...wholeProcess,
  name: "serveShim() keeps a sandbox from its creation to its shutdown",
  fn: async () => {
    await withShim(async (channel) => {
      const sandbox = channel.client(SandboxDefinition);
      const named = { sandboxId: "pod" };
      await assert.rejects(sandbox.pingSandbox(named), { code: "NotFound" });
      await sandbox.createSandbox({
        ...named,
        bundlePath: "/b",
        rootfs: [],
        options: undefined,
        netnsPath: "",
        annotations: {},
      });
      assert.equal((await sandbox.sandboxStatus({ ...named, verbose: false })).state, "SANDBOX_NOTREADY");
      assert.equal((await sandbox.startSandbox(named)).pid, Deno.pid);
      assert.equal((await sandbox.sandboxStatus({ ...named, verbose: false })).state, "SANDBOX_READY");
      // A sandbox is in use, whatever a task's client thinks.
      await channel.client(TaskDefinition).shutdown({ id: "pod", now: true });
      const ended = sandbox.waitSandbox(named);
      await sandbox.stopSandbox({ ...named, timeoutSecs: 1 });
      assert.equal((await ended).exitStatus, 0);
      assert.equal((await sandbox.platform(named)).platform?.os, "linux");
      await sandbox.shutdownSandbox(named);
    });
  },
});
