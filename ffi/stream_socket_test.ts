import assert from "node:assert/strict";
import { Descriptor } from "./descriptor.ts";
import { isErrno } from "./errno.ts";
import { flags } from "./constants.ts";
import { Reactor } from "./reactor.ts";
import { connectStream, StreamSocket } from "./stream_socket.ts";
import { listenInherited, listenStream, StreamListener } from "./stream_listener.ts";
import { socketPair } from "./socket.ts";
import { call } from "./syscall.ts";

const signal = new AbortController().signal;

/** A reactor and a directory that go with the test. */
async function scratch(): Promise<AsyncDisposable & { reactor: Reactor; path: string }> {
  const directory = await Deno.makeTempDir({ prefix: "barge-socket-" });
  const reactor = new Reactor();
  return {
    reactor,
    path: `${directory}/s`,
    async [Symbol.asyncDispose]() {
      reactor[Symbol.dispose]();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

async function accepted(listener: StreamListener): Promise<StreamSocket> {
  const { value } = await listener[Symbol.asyncIterator]().next();
  assert.ok(value);
  return value;
}

function pair(reactor: Reactor): [StreamSocket, StreamSocket] {
  const [one, other] = socketPair();
  for (const { number } of [one, other]) call("fcntl", number, flags("F_SETFL"), flags("O_NONBLOCK"));
  return [new StreamSocket(reactor, one), new StreamSocket(reactor, other)];
}

async function readAll(
  socket: { read(into: Uint8Array): Promise<number | null> },
): Promise<{ bytes: number; sum: number }> {
  const buffer = new Uint8Array(65_536);
  let bytes = 0, sum = 0;
  for (let count = await socket.read(buffer); count !== null; count = await socket.read(buffer)) {
    bytes += count;
    for (let at = 0; at < count; at++) sum = (sum + buffer[at]!) % 1_000_003;
  }
  return { bytes, sum };
}

async function writeAll(socket: { write(bytes: Uint8Array): Promise<number> }, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await socket.write(bytes.subarray(done));
}

Deno.test("listenStream() gives sockets that talk with Deno's own", async () => {
  await using test = await scratch();
  using listener = listenStream(test.reactor, test.path, { mode: 0o640 });
  assert.equal(Deno.statSync(test.path).mode! & 0o777, 0o640);
  using peer = await Deno.connect({ transport: "unix", path: test.path });
  using socket = await accepted(listener);
  const { pid, uid, gid } = socket.credentials();
  assert.deepEqual([pid, uid, gid], [Deno.pid, Deno.uid(), Deno.gid()]);
  const buffer = new Uint8Array(100);
  const reading = socket.read(buffer);
  await peer.write(new TextEncoder().encode("hello"));
  assert.equal(await reading, 5);
  assert.equal(await socket.write(buffer.subarray(0, 5)), 5);
  const echo = new Uint8Array(100);
  assert.equal(await peer.read(echo), 5);
  assert.equal(new TextDecoder().decode(echo.subarray(0, 5)), "hello");
});

Deno.test("connectStream() connects to Deno's own listener, and moves megabytes both ways at once", async () => {
  await using test = await scratch();
  using listener = Deno.listen({ transport: "unix", path: test.path });
  using socket = await connectStream(test.reactor, test.path, signal);
  using peer = await listener.accept();
  const bytes = new Uint8Array(5_000_000).map((_, index) => index * 7);
  let sum = 0;
  for (const byte of bytes) sum = (sum + byte) % 1_000_003;
  const there = readAll(peer),
    back = (async () => {
      const buffer = new Uint8Array(bytes.length);
      let got = 0;
      while (got < buffer.length) got += await socket.read(buffer.subarray(got)) ?? assert.fail("too early an end");
      return buffer;
    })();
  await Promise.all([writeAll(socket, bytes), writeAll(peer, bytes)]);
  assert.deepEqual(await back, bytes);
  socket.close();
  assert.deepEqual(await there, { bytes: bytes.length, sum });
});

Deno.test("StreamSocket.write() waits for the peer, and StreamSocket.read() tells the end", async () => {
  using reactor = new Reactor();
  const [one, other] = pair(reactor);
  const bytes = new Uint8Array(3_000_000).fill(1);
  let written = false;
  const writing = writeAll(one, bytes).then(() => written = true);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(written, false);
  const reading = readAll(other);
  await writing;
  one.close();
  one.close();
  assert.equal((await reading).bytes, bytes.length);
  await assert.rejects(other.write(bytes), (error) => isErrno(error, "EPIPE"));
  other.close();
});

Deno.test("StreamSocket.close() ends what waits", async () => {
  using reactor = new Reactor();
  const [one, other] = pair(reactor);
  const reading = assert.rejects(one.read(new Uint8Array(1)), Deno.errors.BadResource);
  const writing = assert.rejects(writeAll(one, new Uint8Array(3_000_000)), Deno.errors.BadResource);
  await assert.rejects(one.read(new Uint8Array(1)), /waits already/);
  one.close();
  await Promise.all([reading, writing]);
  await assert.rejects(one.read(new Uint8Array(1)), Deno.errors.BadResource);
  assert.equal(await readAll(other).then(({ bytes }) => bytes < 3_000_000), true);
  other.close();
});

Deno.test("a StreamSocket that nobody reads does not keep the reactor busy", async () => {
  using reactor = new Reactor();
  const [one, other] = pair(reactor);
  const buffer = new Uint8Array(1);
  const reading = other.read(buffer);
  await one.write(new Uint8Array(10));
  assert.equal(await reading, 1);
  // Nine bytes lie there, and the peer goes away. A busy reactor would use this time up.
  one.close();
  const before = cpuTimeMs();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const used = cpuTimeMs() - before;
  assert.ok(used < 150, `${used} ms of CPU time`);
  assert.equal((await readAll(other)).bytes, 9);
  other.close();
});

function cpuTimeMs(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1]!.split(" ");
  // utime and stime, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

Deno.test("StreamListener takes many connections, on an abstract name as well, and its close() ends the iteration", async () => {
  await using test = await scratch();
  const name = `@barge-test-${crypto.randomUUID()}`;
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  const listener = listenStream(test.reactor, name);
  const sockets: StreamSocket[] = [];
  const taking = (async () => {
    for await (const socket of listener) {
      sockets.push(socket);
      if (sockets.length === 300) listener.close();
    }
  })();
  const peers = await Promise.all(Array.from({ length: 300 }, () => connectStream(test.reactor, name, signal)));
  await taking;
  for (const socket of [...sockets, ...peers]) socket.close();
  await assert.rejects(connectStream(test.reactor, name, signal), (error) => isErrno(error, "ECONNREFUSED"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  // The reactor's own may be there by now or not.
  assert.ok([...Deno.readDirSync("/proc/self/fd")].length <= before + 2);
  const waiting = listenStream(test.reactor, name);
  const next = waiting[Symbol.asyncIterator]().next();
  waiting.close();
  assert.equal((await next).done, true);
});

Deno.test("connectStream() waits while the queue of connections is full, until it is told to stop", async () => {
  await using test = await scratch();
  using listener = listenStream(test.reactor, test.path, { backlog: 0 });
  using first = await connectStream(test.reactor, test.path, signal);
  const controller = new AbortController();
  const stopped = connectStream(test.reactor, test.path, controller.signal);
  setTimeout(() => controller.abort(new Error("enough")), 20);
  await assert.rejects(stopped, /enough/);
  const waiting = connectStream(test.reactor, test.path, signal);
  using second = await accepted(listener);
  (await waiting).close();
  assert.equal(first.credentials().pid, second.credentials().pid);
});

Deno.test("listenInherited() takes over a listening descriptor and refuses others", async () => {
  await using test = await scratch();
  const original = listenStream(test.reactor, test.path);
  const fd = Number(
    [...Deno.readDirSync("/proc/self/fd")].find(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:") && isListening(Number(name));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return false;
        throw error;
      }
    })!.name,
  );
  using listener = listenInherited(test.reactor, call("fcntl", fd, flags("F_DUPFD_CLOEXEC"), 3));
  original.close();
  using peer = await connectStream(test.reactor, test.path, signal);
  using socket = await accepted(listener);
  assert.equal(socket.credentials().uid, peer.credentials().uid);
  const [one, other] = socketPair();
  assert.throws(() => listenInherited(test.reactor, one.number), /does not listen/);
  using file = new Descriptor(call("openat", flags("AT_FDCWD"), "/dev/null", flags("O_CLOEXEC"), 0));
  assert.throws(() => listenInherited(test.reactor, file.number), (error) => isErrno(error, "ENOTSOCK"));
  one.close();
  other.close();
});

function isListening(fd: number): boolean {
  const value = new Int32Array(1);
  call("getsockopt", fd, flags("SOL_SOCKET"), flags("SO_ACCEPTCONN"), value, new Uint32Array([4]));
  return value[0] === 1;
}

Deno.test("listenStream() and connectStream() refuse what cannot be an address", async () => {
  using reactor = new Reactor();
  const long = `/tmp/${"x".repeat(100)}`;
  assert.throws(
    () => listenStream(reactor, long),
    (error) => error instanceof RangeError && /too long \(> 104\)/.test(error.message),
  );
  await assert.rejects(connectStream(reactor, long, signal), RangeError);
  assert.throws(() => listenStream(reactor, ""), RangeError);
  await assert.rejects(connectStream(reactor, "/nowhere/s", signal), (error) => isErrno(error, "ENOENT"));
  assert.throws(() => listenStream(reactor, "/nowhere/s"), (error) => isErrno(error, "ENOENT"));
  await using test = await scratch();
  using listener = listenStream(reactor, test.path);
  assert.throws(() => listenStream(reactor, test.path), (error) => isErrno(error, "EADDRINUSE"));
  listener.close();
});
