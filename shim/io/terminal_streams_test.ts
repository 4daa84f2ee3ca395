import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile, writeOnce } from "../../ffi/descriptor.ts";
import { openPty, terminalSize } from "../../ffi/pty.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { sendDescriptor } from "../../ffi/send_descriptor.ts";
import { call } from "../../ffi/syscall.ts";
import { pause } from "../../ffi/timer.ts";
import { Client, contents, nothing, withFifos, writeLogger } from "../../tests/stream_client.ts";
import { startStreamed, type StreamedProcess } from "../../tests/streamed_process.ts";
import { openStandardStreams, type StandardStreams } from "./standard_streams.ts";
import type { StandardStreamsOptions } from "./stream_ends.ts";

interface Screen {
  streams: StandardStreams;
  process: StreamedProcess;
  master: Descriptor;
}

/** Starts a script on a terminal, whose master comes over the console socket. */
async function runOnTerminal(
  reactor: Reactor,
  options: Partial<StandardStreamsOptions>,
  script: string,
): Promise<Screen> {
  const streams = await openStandardStreams(reactor, { ...nothing, ...options, terminal: true });
  const { master, slave } = openPty();
  const fd = slave.number;
  const process = startStreamed(reactor, script, { stdin: fd, stdout: fd, stderr: fd }, true);
  slave.close();
  sendDescriptor(streams.child.console!, master.number, "/dev/ptmx");
  await streams.begin();
  streams.takeInput();
  return { streams, process, master };
}

async function finish({ streams, process, master }: Screen): Promise<boolean> {
  await process.end();
  master.close();
  const complete = await streams.drained(5000);
  await streams.close();
  return complete;
}

Deno.test("a terminal's output goes to one FIFO, and its size can be set", () =>
  withFifos(async (reactor, path) => {
    const out = new Client(path("out"));
    const screen = await runOnTerminal(
      reactor,
      { stdin: path("in"), stdout: path("out") },
      "read x; stty size; echo two >&2",
    );
    screen.streams.resize(132, 43);
    assert.deepEqual(terminalSize(screen.master.number), { columns: 132, rows: 43 });
    using client = openFile(path("in"), flags("O_WRONLY", "O_NONBLOCK"));
    writeOnce(client.number, new TextEncoder().encode("go\n"));
    assert.equal(await finish(screen), true);
    screen.streams.resize(1, 1);
    assert.equal(await out.text(), "go\r\n43 132\r\ntwo\r\n");
  }));

Deno.test("a terminal's whole output arrives although its process ends at once", () =>
  withFifos(async (reactor, path) => {
    for (let round = 0; round < 10; round++) {
      const out = new Client(path("out"));
      const screen = await runOnTerminal(reactor, { stdout: path("out") }, "stty raw; exec head -c 300000 /dev/zero");
      assert.equal(await finish(screen), true);
      assert.equal(await out.length(), 300_000);
    }
  }));

Deno.test("a terminal that nobody reads takes 25 kB of short lines before its program waits, and none is lost", () =>
  withFifos(async (reactor, path) => {
    // 16 pages, each of which may be half empty: pieces of more than half a page have none in common.
    const script = "i=0; while [ $i -lt 2500 ]; do echo line $i; i=$((i+1)); done";
    const screen = await runOnTerminal(reactor, { stdout: path("out"), readersMs: 0 }, script);
    await screen.process.end(); // In spite of nobody who reads.
    assert.equal(await screen.streams.drained(5000), true);
    screen.master.close();
    const lines = (await new Client(path("out")).text()).split("\r\n");
    assert.deepEqual(lines.slice(0, -1), Array.from({ length: 2500 }, (_, index) => `line ${index}`));
    await screen.streams.close();
  }));

Deno.test("a large paste reaches a terminal's program without loss, and the end of input as Ctrl-D", () =>
  withFifos(async (reactor, path) => {
    const out = new Client(path("out"));
    const script = "stty raw -echo; echo ready; head -c 500000 | sha256sum; stty sane -echo; cat; echo end";
    const screen = await runOnTerminal(reactor, { stdin: path("in"), stdout: path("out") }, script);
    await pause(reactor, 100); // stty discards what was typed before.
    const bytes = new Uint8Array(500_000).map((_, index) => index * 7 % 251);
    const paste = new Deno.Command("/bin/sh", { args: ["-c", `cat >"$0"`, path("in")], stdin: "piped" }).spawn();
    const writer = paste.stdin.getWriter();
    await writer.write(bytes);
    await writer.close();
    await paste.status;
    await pause(reactor, 200);
    screen.streams.closeStdin();
    assert.equal(await finish(screen), true);
    const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    assert.match(await out.text(), new RegExp(`ready\\s+${expected}[^]*end`));
  }));

Deno.test("a terminal that its programs leave and open again goes on", () =>
  withFifos(async (reactor, path) => {
    const out = new Client(path("out"));
    const script =
      `tty=$(tty); trap '' HUP; echo one; exec </dev/null >/dev/null 2>&1; sleep 0.1; echo two >$tty; sleep 0.1`;
    const screen = await runOnTerminal(reactor, { stdout: path("out") }, script);
    assert.equal(await finish(screen), true);
    assert.equal(await out.text(), "one\r\ntwo\r\n");
  }));

Deno.test("a terminal can be shown in a file and by a logger", () =>
  withFifos(async (reactor, path) => {
    const file = await runOnTerminal(reactor, { stdout: `file://${path("log")}` }, "echo one; seq 10000");
    assert.equal(await finish(file), true);
    assert.equal(contents(path("log")).split("\r\n").length, 10_002);
    writeLogger(path("logger"), `exec 5>&-; cat <&3 >${path("logged")}`);
    const logged = await runOnTerminal(reactor, { stdout: `binary://${path("logger")}` }, "echo one; seq 10000");
    assert.equal(await finish(logged), true);
    assert.equal(contents(path("logged")).split("\r\n").length, 10_002);
  }));

Deno.test("begin() gives up where no terminal comes, when its streams are closed", () =>
  withFifos(async (reactor) => {
    const streams = await openStandardStreams(reactor, { ...nothing, terminal: true });
    // As long as somebody has the socket's other end, the terminal may still come.
    using other = new Descriptor(call("fcntl", streams.child.console!, flags("F_DUPFD_CLOEXEC"), 0));
    const waiting = assert.rejects(streams.begin(), { code: "Canceled" });
    await pause(reactor, 10);
    await streams.close();
    await waiting;
    const dead = await openStandardStreams(reactor, { ...nothing, terminal: true });
    await assert.rejects(dead.begin(), { code: "Aborted" });
    await dead.close();
    assert.ok(other.number > 0);
  }));
