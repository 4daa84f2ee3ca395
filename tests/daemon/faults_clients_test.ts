/**
 * Clients that vanish, say what makes no sense, or too much.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { WriteAction } from "../../api/gen/services/content/v1/content.ts";
import { execute, Running, systemTest } from "../command.ts";
import { digestOf, WriteStream } from "../content/content_client.ts";
import { openFilesOf } from "../open_files.ts";
import { containerOf, DaemonClient, fails, imageOf } from "./daemon_client.ts";
import { startDaemon, type TestDaemon } from "./daemon_fixture.ts";
import { patient } from "../patience.ts";

/** No shim is started ahead, whose descriptors would come at a moment of their own. */
const alone = { config: '[plugins."io.containerd.shim.v1.manager"]\nspare_shim = false\n' };

const openFiles = ({ pid }: TestDaemon) => openFilesOf(pid).length;

/** Waits until the daemon has no more files open than before: what a client had is gone. */
async function untilFilesAre(daemon: TestDaemon, before: number): Promise<void> {
  for (let waitedMs = 0; openFiles(daemon) > before && waitedMs < patient(3_000); waitedMs += 10) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert(openFiles(daemon) <= before, `${openFiles(daemon)} files are open, ${before} before`);
}

systemTest("barge daemon lets another client go on with the write of one that was killed", ["ctr"], async () => {
  await using daemon = await startDaemon(alone);
  using client = new DaemonClient(daemon.address);
  const before = openFiles(daemon);
  // Another process, as a connection that the kernel ends is not one that says goodbye.
  await using writer = new Running(
    ["ctr", "--address", daemon.address, "content", "ingest", "--expected-size", "2000000", "shared-ref"],
    { keepInput: true },
  );
  const input = writer.child.stdin.getWriter();
  await input.write(new Uint8Array(1 << 20).fill(5));
  let offset = 0;
  while (offset === 0) {
    const { statuses } = await client.content.listStatuses({ filters: [] });
    offset = statuses[0]?.offset ?? 0;
  }
  // While that one writes, nobody else does.
  await using early = new WriteStream(client.content);
  await fails(early.say({ action: WriteAction.STAT, ref: "shared-ref" }), "Unavailable", /locked/);
  writer.kill("SIGKILL");
  await writer.finished;
  await input.close().catch(() => {});
  let status;
  for (let tries = 0; status === undefined; tries++) {
    await using stream = new WriteStream(client.content);
    try {
      status = await stream.say({ action: WriteAction.STAT, ref: "shared-ref" });
    } catch (error) {
      assert(isFailure(error, "Unavailable") && tries < 200, String(error));
      await new Promise((resolve) => setTimeout(resolve, 10));
      continue;
    }
    assert(status!.offset >= offset, `${status!.offset} bytes are left of ${offset}`);
    // What is there is what the first one wrote, so the rest makes the whole.
    const whole = new Uint8Array(2_000_000).fill(5);
    const data = whole.subarray(status!.offset);
    const expected = digestOf(whole);
    for (let at = 0; at < data.length; at += 1 << 20) {
      await stream.say({
        action: WriteAction.WRITE,
        ref: "shared-ref",
        offset: status!.offset + at,
        data: data.subarray(at, at + (1 << 20)),
      });
    }
    await stream.say({
      action: WriteAction.COMMIT,
      ref: "shared-ref",
      expected,
      total: whole.length,
      offset: whole.length,
    });
    assert.equal(digestOf(await client.getBlob(expected)), expected);
  }
  // Our own connection is one.
  await untilFilesAre(daemon, before + 1);
});

systemTest("barge daemon frees what clients had that vanish while they subscribe or read", ["ctr"], async () => {
  await using daemon = await startDaemon(alone);
  using client = new DaemonClient(daemon.address);
  const digest = await client.putBlob(new Uint8Array(20 << 20).fill(9));
  const before = openFiles(daemon);
  const subscribers = Array.from({ length: 5 }, () => new Running(["ctr", "--address", daemon.address, "events"]));
  for (let n = 0; openFiles(daemon) < before + 5; n++) {
    assert(n < 1_000, "the subscribers have not come");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // They read no byte of their answers: the pipe to us is full after 64 KiB.
  const readers = Array.from({ length: 5 }, () =>
    new Deno.Command("ctr", {
      args: ["--address", daemon.address, "content", "get", digest],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn());
  await new Promise((resolve) => setTimeout(resolve, 200));
  await client.putImage("seen", digest);
  for (const reader of readers) {
    reader.kill("SIGKILL");
    await reader.stdout.cancel();
    await reader.status;
  }
  for (const subscriber of subscribers) await subscriber[Symbol.asyncDispose]();
  await untilFilesAre(daemon, before);
  // Events have nobody to go to, and a subscriber that comes now is told.
  const events = client.events.subscribe({ filters: [] })[Symbol.asyncIterator]();
  const next = events.next();
  await client.version.version({});
  await client.images.delete({ name: "seen", sync: false });
  assert.equal((await next).value?.topic, "/images/delete");
  await events.return?.();
});

systemTest("barge daemon refuses calls without a namespace in containerd's words", [], async () => {
  await using daemon = await startDaemon(alone);
  using client = new DaemonClient(daemon.address, "");
  const required = /^namespace is required$/;
  await fails(client.images.list({ filters: [] }), "FailedPrecondition", required);
  await fails(client.containers.get({ id: "x" }), "FailedPrecondition", required);
  await fails(client.leases.create({ id: "x", labels: {} }), "FailedPrecondition", required);
  await fails(client.content.info({ digest: digestOf(new Uint8Array()) }), "FailedPrecondition", required);
  await fails(client.snapshots.remove({ snapshotter: "overlayfs", key: "x" }), "FailedPrecondition", required);
  await fails(Array.fromAsync(client.content.list({ filters: [] })), "FailedPrecondition", required);
  await client.namespaces.list({ filter: "" });
});

systemTest("barge daemon refuses names that are none, and keeps nothing of them", [], async () => {
  await using daemon = await startDaemon(alone);
  using client = new DaemonClient(daemon.address);
  const bad = ["", "../x", "a/b", "a b", "-a", "a".repeat(77), "\u0000", "ä", "a\n"];
  for (const id of bad) {
    const refuses = (promise: Promise<unknown>) => fails(promise, "InvalidArgument", /./);
    await refuses(client.containers.create({ container: containerOf(id) }));
    await refuses(client.namespaces.create({ namespace: { name: id, labels: {} } }));
  }
  for (const name of ["../x", "a b", "a".repeat(77), "a/b"]) {
    using strange = new DaemonClient(daemon.address, name);
    await fails(
      strange.images.create({ image: imageOf("i", digestOf(new Uint8Array())), sourceDateEpoch: undefined }),
      "InvalidArgument",
      /identifier/,
    );
  }
  for (
    const digest of ["", "sha256:", "sha256:../../../etc/passwd", `sha256:${"A".repeat(64)}`, `md4:${"0".repeat(32)}`]
  ) {
    await fails(client.content.info({ digest }), "InvalidArgument", /./);
    await fails(client.getBlob(digest), "InvalidArgument", /./);
    await fails(client.content.delete({ digest }), "InvalidArgument", /./);
  }
  const label = { ["l".repeat(5_000)]: "" };
  await fails(
    client.containers.create({ container: containerOf("x", label) }),
    "InvalidArgument",
    /label key and value length/,
  );
  await fails(
    client.snapshots.prepare({ snapshotter: "none", key: "x", parent: "", labels: {} }),
    "InvalidArgument",
    /none/,
  );
  assert.deepEqual((await client.containers.list({ filters: [] })).containers, []);
  assert.deepEqual(
    (await client.namespaces.list({ filter: "" })).namespaces.filter(({ name }) => name !== "default"),
    [],
  );
});

systemTest("barge daemon refuses messages over the limit, and serves the connection on", [], async () => {
  await using daemon = await startDaemon(alone);
  using client = new DaemonClient(daemon.address);
  const container = containerOf("large");
  container.spec!.value = new Uint8Array(17 << 20);
  await fails(
    client.containers.create({ container }),
    "ResourceExhausted",
    /received message larger than max \(\d+ vs\. 16777216\)/,
  );
  await client.version.version({});
  container.spec!.value = new Uint8Array(1 << 20);
  await client.containers.create({ container });
  assert.equal((await client.containers.get({ id: "large" })).container?.spec?.value.length, 1 << 20);
});

systemTest("barge daemon ends connections that speak something else, and serves others", ["ctr"], async () => {
  await using daemon = await startDaemon(alone);
  const before = openFiles(daemon);
  const words = [
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01",
    "x".repeat(100_000),
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\xff".repeat(1000),
  ];
  for (const path of [daemon.address, `${daemon.address}.ttrpc`]) {
    for (const text of words) {
      using connection = await Deno.connect({ transport: "unix", path });
      await connection.write(new TextEncoder().encode(text)).catch(() => 0);
      // Either it answers something or ends; neither may take long.
      const buffer = new Uint8Array(4096);
      const ended = (async () => {
        while (await connection.read(buffer).catch(() => null) !== null);
        return "ended";
      })();
      let timer;
      const patienceMs = path === daemon.address ? 3_000 : 200;
      const late = new Promise((resolve) => timer = setTimeout(() => resolve("open"), patienceMs));
      const how = await Promise.race([ended, late]);
      clearTimeout(timer);
      if (path === daemon.address) assert.equal(how, "ended", `after ${JSON.stringify(text.slice(0, 20))}`);
    }
  }
  await untilFilesAre(daemon, before);
  assert.equal((await execute(["ctr", "--address", daemon.address, "version"])).code, 0);
});
