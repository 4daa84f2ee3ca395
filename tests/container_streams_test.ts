/**
 * Standard streams of real containers: created, started and joined in one process, as a shim does.
 *
 * @module
 */
import assert from "node:assert/strict";
import { flags } from "../ffi/constants.ts";
import { openFile, writeOnce } from "../ffi/descriptor.ts";
import { makeFifo } from "../ffi/fifo.ts";
import { exitCode, waitForChild } from "../ffi/process.ts";
import { Reactor } from "../ffi/reactor.ts";
import { pause } from "../ffi/timer.ts";
import { openStandardStreams, type StandardStreams } from "../shim/io/standard_streams.ts";
import { createContainer } from "../shim/oci/create.ts";
import { deleteContainer } from "../shim/oci/delete.ts";
import { execInContainer } from "../shim/oci/exec.ts";
import { parseSpec } from "../shim/oci/spec/parse.ts";
import { startContainer } from "../shim/oci/start.ts";
import { type Bundle, makeBundle, Runtime } from "./bundle.ts";
import { systemTest } from "./command.ts";
import { makeScratch } from "./scratch.ts";
import { Client, nothing } from "./stream_client.ts";

interface Joined {
  readonly out: Client;
  readonly err: Client;
  readonly streams: StandardStreams;
  readonly path: (name: string) => string;
}

let made = 0;

/** FIFOs with readers, and the streams to them. */
async function join(reactor: Reactor, bundle: Bundle, terminal: boolean, uid = 0): Promise<Joined> {
  const set = made++;
  const path = (name: string): string => `${bundle.scratch.path}/${name}${set}`;
  for (const name of ["in", "out", "err"]) makeFifo(path(name), 0o700);
  const fields = { stdin: path("in"), stdout: path("out"), stderr: terminal ? "" : path("err"), terminal };
  const streams = await openStandardStreams(reactor, { ...nothing, ...fields, uid, gid: uid });
  const clients = { out: new Client(path("out")), err: new Client(terminal ? "/dev/null" : path("err")) };
  await Client.allOpened();
  return { ...clients, streams, path };
}

/** Creates and starts a container with the script, lets the body use it, waits for its end and gives the exit code. */
async function withContainer(
  script: string,
  options: { terminal?: boolean; uid?: number },
  body: (reactor: Reactor, joined: Joined, execute: (script: string) => Promise<[number, string]>) => Promise<void>,
): Promise<number> {
  await using scratch = await makeScratch();
  const runtime = new Runtime("barge", `${scratch.path}/state`);
  const bundle = await makeBundle(runtime, scratch);
  const { terminal = false, uid = 0 } = options;
  await bundle.edit((spec) => {
    Object.assign(spec.process, { terminal, args: ["sh", "-c", script], user: { uid, gid: uid } });
  });
  const spec = parseSpec(Deno.readTextFileSync(`${bundle.path}/config.json`));
  using reactor = new Reactor();
  const joined = await join(reactor, bundle, terminal, uid);
  const { streams } = joined;
  const { launched, directory } = await createContainer(reactor, {
    stateRoot: runtime.stateRoot,
    id: scratch.id("c"),
    spec,
    bundle: bundle.path,
    root: { kind: "directory", path: bundle.rootfs },
    streams: streams.child,
    start: "fifo",
    dieWithParent: false,
    alone: false,
  });
  await streams.begin();
  streams.takeInput();
  startContainer(directory);
  const execute = async (text: string): Promise<[number, string]> => {
    const inner = await join(reactor, bundle, false);
    const process = { ...spec.process!, terminal: false, args: ["sh", "-c", text] };
    const { child } = await execInContainer(reactor, directory, {
      process,
      streams: inner.streams.child,
      alone: false,
    });
    await inner.streams.begin();
    inner.streams.takeInput();
    inner.streams.closeStdin();
    const code = exitCode(await waitForChild(reactor, child.pidfd));
    child.close();
    assert.equal(await inner.streams.drained(5000), true);
    await inner.streams.close();
    return [code, await inner.out.text()];
  };
  await body(reactor, joined, execute);
  const code = exitCode(await waitForChild(reactor, launched.child.pidfd));
  launched.child.close();
  assert.equal(await streams.drained(5000), true);
  await streams.close();
  await deleteContainer(directory, { force: true });
  await joined.err.text();
  await scratch.assertNothingLeft();
  return code;
}

systemTest("a container's user can open its streams again, and all that it prints arrives", ["busybox"], async () => {
  let out: Promise<number> | undefined;
  const script =
    "echo again >/dev/stdout && echo too >/dev/stderr && dd if=/dev/zero bs=65536 count=128 2>/dev/null; exit 5";
  const code = await withContainer(script, { uid: 1000 }, (_reactor, joined) => {
    out = joined.out.length();
    return Promise.resolve();
  });
  assert.deepEqual([code, await out], [5, 128 * 65536 + "again\n".length]);
});

systemTest("a container's input ends by closeStdin(), and execs have streams of their own", ["busybox"], async () => {
  let out: Promise<string> | undefined;
  const code = await withContainer("cat; echo end", {}, async (_reactor, { out: client, streams, path }, execute) => {
    out = client.text();
    assert.deepEqual(await execute("cat; echo exec; exit 3"), [3, "exec\n"]);
    const several = await Promise.all(
      Array.from({ length: 10 }, (_, index) => execute(`echo ${index}; exit ${index}`)),
    );
    assert.deepEqual(several, several.map((_, index) => [index, `${index}\n`]));
    using writer = openFile(path("in"), flags("O_WRONLY", "O_NONBLOCK"));
    writeOnce(writer.number, new TextEncoder().encode("typed\n"));
    streams.closeStdin();
  });
  assert.deepEqual([code, await out], [0, "typed\nend\n"]);
});

systemTest("a container's own terminal is shown, typed on and resized", ["busybox"], async () => {
  let out: Promise<string> | undefined;
  const script = "tty; read line; stty size; echo got $line; exit 4";
  const code = await withContainer(script, { terminal: true }, async (reactor, { out: client, streams, path }) => {
    out = client.text();
    streams.resize(99, 33);
    await pause(reactor, 50);
    using writer = openFile(path("in"), flags("O_WRONLY", "O_NONBLOCK"));
    writeOnce(writer.number, new TextEncoder().encode("hello\n"));
  });
  assert.equal(code, 4);
  // A busy machine may see what is typed, which the terminal shows at once, before the shell has begun.
  assert.match(await out!, /^(hello\r\n)?\/dev\/(pts\/0|console)\r\n(hello\r\n)?33 99\r\ngot hello\r\n$/);
});
