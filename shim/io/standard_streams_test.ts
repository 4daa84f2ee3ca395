import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile, writeOnce } from "../../ffi/descriptor.ts";
import { makeFifo } from "../../ffi/fifo.ts";
import { exitCode } from "../../ffi/process.ts";
import { call } from "../../ffi/syscall.ts";
import { pause } from "../../ffi/timer.ts";
import { Client, contents, nothing, run, runWhole, withFifos } from "../../tests/stream_client.ts";
import { openStandardStreams, resumeStandardStreams } from "./standard_streams.ts";

Deno.test("openStandardStreams() gives each output to its FIFO, and its reader the end", () =>
  withFifos(async (reactor, path) => {
    const [out, err] = [new Client(path("out")), new Client(path("err"))];
    assert.equal(await runWhole(reactor, { stdout: path("out"), stderr: path("err") }, "echo one; echo two >&2"), true);
    assert.deepEqual([await out.text(), await err.text()], ["one\n", "two\n"]);
  }));

Deno.test("openStandardStreams() gives /dev/null for what is not asked for", () =>
  withFifos(async (reactor, path) => {
    const out = new Client(path("out"));
    const script =
      "readlink /proc/self/fd/0 /proc/self/fd/2; [ -p /proc/self/fd/1 ] && cat && echo pipe; echo lost >&2";
    assert.equal(await runWhole(reactor, { stdout: path("out") }, script), true);
    assert.equal(await out.text(), "/dev/null\n/dev/null\npipe\n");
  }));

Deno.test("drained() is true only when all of 8 MiB, printed at once before the end, were given", () =>
  withFifos(async (reactor, path) => {
    const out = new Client(path("out"), `exec sha256sum "$0"`);
    const script = "head -c 8388608 /dev/zero | tr '\\0' x";
    assert.equal(await runWhole(reactor, { stdout: path("out") }, script), true);
    const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(8388608).fill(0x78)));
    assert.equal((await out.text()).split(" ")[0], expected.toHex());
  }));

Deno.test("openStandardStreams() makes the pipes the container user's", () =>
  withFifos(async (reactor, path) => {
    if (Deno.uid() !== 0) return;
    const streams = await openStandardStreams(reactor, {
      ...nothing,
      stdin: path("in"),
      stdout: path("out"),
      stderr: path("err"),
      uid: 1234,
      gid: 2345,
    });
    for (const fd of [streams.child.stdin, streams.child.stdout, streams.child.stderr]) {
      const { uid, gid } = Deno.statSync(`/proc/self/fd/${fd}`);
      assert.deepEqual([uid, gid], [1234, 2345]);
    }
    assert.equal(Deno.statSync(path("out")).uid, 0);
    await streams.close();
  }));

Deno.test("closeStdin() ends the input behind what a client has written, and a client's leaving alone does not", () =>
  withFifos(async (reactor, path) => {
    const out = new Client(path("out"));
    const streams = await openStandardStreams(reactor, { ...nothing, stdin: path("in"), stdout: path("out") });
    const process = await run(reactor, streams, "cat; echo end");
    for (const word of ["first ", "second "]) {
      using client = openFile(path("in"), flags("O_WRONLY", "O_NONBLOCK"));
      writeOnce(client.number, new TextEncoder().encode(word));
    }
    await pause(reactor, 30);
    {
      using client = openFile(path("in"), flags("O_WRONLY", "O_NONBLOCK"));
      writeOnce(client.number, new TextEncoder().encode("third "));
      streams.closeStdin();
      streams.closeStdin();
      writeOnce(client.number, new TextEncoder().encode("fourth "));
    }
    await process.end();
    assert.equal(await streams.drained(10_000), true);
    await streams.close();
    assert.equal(await out.text(), "first second third fourth end\n");
  }));

Deno.test("closeStdin() before begin() and without any client ends the input at once", () =>
  withFifos(async (reactor, path) => {
    const streams = await openStandardStreams(reactor, { ...nothing, stdin: path("in") });
    streams.closeStdin();
    const process = await run(reactor, streams, "cat >/dev/null; exit 7");
    assert.equal(exitCode(await process.end()), 7);
    await streams.close();
  }));

Deno.test("a stream of standard input survives a program that does not read it", () =>
  withFifos(async (reactor, path) => {
    const streams = await openStandardStreams(reactor, { ...nothing, stdin: path("in") });
    const process = await run(reactor, streams, "exec <&-; exit 3");
    assert.equal(exitCode(await process.end()), 3);
    using client = openFile(path("in"), flags("O_WRONLY", "O_NONBLOCK"));
    writeOnce(client.number, new Uint8Array(10));
    await pause(reactor, 30);
    // The FIFO's reader has gone with the program's: a client learns it.
    assert.throws(() => writeOnce(client.number, new Uint8Array(10)), { code: "EPIPE" });
    await streams.close();
  }));

Deno.test("a reader that vanishes neither ends the program nor loses a byte, and another one goes on", () =>
  withFifos(async (reactor, path) => {
    const streams = await openStandardStreams(reactor, { ...nothing, stdout: path("out") });
    // 40,000 numbered lines are more than FIFO and pipe hold: the program waits while nobody reads.
    const process = await run(reactor, streams, "seq -w 1 40000; sleep 0.1; echo last");
    const parts: string[] = [];
    for (let lines = 0; lines < 3; lines++) {
      // dd takes whole blocks of eight lines and leaves, so that what is lost would be the streams' doing.
      const client = new Client(path("out"), `exec dd if="$0" bs=48 count=100 iflag=fullblock status=none`);
      parts.push(await client.text());
      await pause(reactor, 20);
    }
    const rest = new Client(path("out"));
    await process.end();
    assert.equal(await streams.drained(10_000), true);
    parts.push(await rest.text());
    await streams.close();
    const expected = Array.from({ length: 40_000 }, (_, index) => String(index + 1).padStart(5, "0")).join("\n");
    assert.equal(parts.join(""), `${expected}\nlast\n`);
  }));

Deno.test("output of a program that ended before its reader came stays in the FIFO for it", () =>
  withFifos(async (reactor, path) => {
    const streams = await openStandardStreams(reactor, { ...nothing, stdout: path("out") });
    const process = await run(reactor, streams, "echo early");
    await process.end();
    assert.equal(await streams.drained(10_000), true);
    await pause(reactor, 60);
    assert.equal(await new Client(path("out")).text(), "early\n");
    await streams.close();
  }));

Deno.test("one full stream delays no other", () =>
  withFifos(async (reactor, path) => {
    // Nobody reads the errors, and there are more of them than fit.
    const streams = await openStandardStreams(reactor, { ...nothing, stdout: path("out"), stderr: path("err") });
    const out = new Client(path("out"));
    const process = await run(
      reactor,
      streams,
      "(head -c 1000000 /dev/zero >&2; echo late) & head -c 3000000 /dev/zero",
    );
    await process.end();
    // The background process holds both pipes; this is the limit, and it ends them.
    const begun = performance.now();
    assert.equal(await streams.drained(300), false);
    assert.ok(performance.now() - begun < 2000);
    assert.equal(await out.length(), 3_000_000);
    await streams.close();
  }));

Deno.test("drained() ends at its limit although a background process prints for ever", () =>
  withFifos(async (reactor, path) => {
    for (const stdout of [path("out"), `file://${path("log")}`]) {
      const out = stdout === path("out") ? new Client(stdout, `cat "$0" >/dev/null; echo end`) : undefined;
      const streams = await openStandardStreams(reactor, { ...nothing, stdout });
      const process = await run(reactor, streams, "timeout 5 yes & sleep 0.05");
      await process.end();
      const begun = performance.now();
      assert.equal(await streams.drained(100), false);
      if (out !== undefined) assert.equal(await out.text(), "end\n");
      await streams.close();
      assert.ok(performance.now() - begun < 2000);
    }
  }));

Deno.test("drained() throws the reason of its signal", () =>
  withFifos(async (reactor, path) => {
    const streams = await openStandardStreams(reactor, { ...nothing, stdout: path("out") });
    const process = await run(reactor, streams, "sleep 0.2");
    const abort = new AbortController();
    const waiting = streams.drained(10_000, abort.signal);
    abort.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
    await process.end();
    await streams.close();
  }));

Deno.test("a full stream waits without spinning", () =>
  withFifos(async (reactor, path) => {
    const streams = await openStandardStreams(reactor, { ...nothing, stdout: path("out") });
    const process = await run(reactor, streams, "exec head -c 1000000 /dev/zero");
    await pause(reactor, 50);
    const [before] = processorMs();
    await pause(reactor, 300);
    const used = processorMs()[0]! - before!;
    assert.ok(used < 100, `${used} ms of processor time in 300 ms`);
    const out = new Client(path("out"));
    await process.end();
    assert.equal(await streams.drained(10_000), true);
    assert.equal(await out.length(), 1_000_000);
    await streams.close();
  }));

/** User and system time of this process in ms. */
function processorMs(): number[] {
  const fields = contents("/proc/self/stat").split(") ")[1]!.split(" ");
  return [(Number(fields[11]) + Number(fields[12])) * 10];
}

Deno.test("50 streams at once arrive whole", () =>
  withFifos(async (reactor, path) => {
    const begun: Promise<void>[] = [];
    for (let index = 0; index < 50; index++) {
      makeFifo(path(`out${index}`), 0o700);
      begun.push((async () => {
        const out = new Client(path(`out${index}`), `exec sha256sum "$0"`);
        const script = `head -c 1000000 /dev/zero | tr '\\0' '\\${(64 + index).toString(8)}'`;
        assert.equal(await runWhole(reactor, { stdout: path(`out${index}`) }, script), true);
        const bytes = new Uint8Array(1_000_000).fill(64 + index);
        const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
        assert.equal((await out.text()).split(" ")[0], expected);
      })());
    }
    await Promise.all(begun);
  }));

Deno.test("file:// appends both outputs to a file that is made with its directories", () =>
  withFifos(async (reactor, path) => {
    const uri = `file://${path("logs/deep/a%20file")}`;
    for (const word of ["one", "two"]) {
      const script = `echo ${word}; echo ${word} >&2; head -c 500000 /dev/zero | tr '\\0' x; echo`;
      assert.equal(await runWhole(reactor, { stdout: uri, stderr: uri }, script), true);
    }
    const text = contents(path("logs/deep/a file"));
    assert.equal(text.replaceAll(/x+/g, "").split("\n").sort().join(" ").trim(), "one one two two");
    assert.equal(text.length, 2 * 500_010 - 2);
    assert.equal(Deno.statSync(path("logs/deep/a file")).mode! & 0o777, 0o644);
  }));

Deno.test("openStandardStreams() appends to a regular file and follows a link to a FIFO, and makes neither", () =>
  withFifos(async (reactor, path) => {
    Deno.writeTextFileSync(path("log"), "before\n");
    Deno.symlinkSync(path("err"), path("link"));
    const err = new Client(path("err"));
    assert.equal(await runWhole(reactor, { stdout: path("log"), stderr: path("link") }, "echo a; echo b >&2"), true);
    assert.deepEqual([contents(path("log")), await err.text()], ["before\na\n", "b\n"]);
    const missing = { ...nothing, stdin: path("in"), stdout: path("out"), stderr: path("nowhere") };
    await assert.rejects(openStandardStreams(reactor, missing), {
      message: `containerd-shim: opening file "${path("nowhere")}" failed: open ${path("nowhere")}: ` +
        "no such file or directory",
    });
    await assert.rejects(openStandardStreams(reactor, { ...nothing, stdin: path("nowhere") }), {
      message: `containerd-shim: opening ${path("nowhere")} failed: open ${path("nowhere")}: no such file or directory`,
    });
    await assert.rejects(openStandardStreams(reactor, { ...nothing, stdout: "ftp://x/y" }), /unknown STDIO scheme ftp/);
  }));

Deno.test("a device that is full says so, and the program ends all the same", () =>
  withFifos(async (reactor) => {
    const warnings: string[] = [];
    const streams = await openStandardStreams(reactor, {
      ...nothing,
      stdout: "/dev/full",
      stderr: "/dev/null",
      warn: (text) => warnings.push(text),
    });
    const process = await run(reactor, streams, "echo a; echo b >&2");
    await process.end();
    assert.equal(await streams.drained(200), false);
    assert.deepEqual(warnings, ["stdout: no space left on device: the container waits until there is room"]);
    await streams.close();
  }));

Deno.test("resumeStandardStreams() goes on where another shim has stopped, with no byte lost", () =>
  withFifos(async (reactor, path) => {
    const options = { ...nothing, stdout: path("out") };
    const out = new Client(path("out"));
    const first = await openStandardStreams(reactor, options);
    const process = await run(reactor, first, "seq 1000; sleep 0.2; seq 1001 60000");
    await pause(reactor, 100);
    const copy = new Descriptor(call("fcntl", first.ends.stdout!.number, flags("F_DUPFD_CLOEXEC"), 0));
    const second = await resumeStandardStreams(reactor, options, { stdout: copy });
    await first.close();
    await second.begin();
    second.takeInput();
    await process.end();
    assert.equal(await second.drained(5000), true);
    await second.close();
    const expected = Array.from({ length: 60_000 }, (_, index) => `${index + 1}\n`).join("");
    assert.equal(await out.text(), expected);
  }));

Deno.test("1,000 sets of streams leave neither descriptors nor memory", () =>
  withFifos(async (reactor, path) => {
    const options = { ...nothing, stdin: path("in"), stdout: path("out"), stderr: path("err"), readersMs: 0 };
    let after200 = 0;
    for (let round = 0; round < 1000; round++) {
      const streams = await openStandardStreams(reactor, options);
      writeOnce(streams.child.stdout, new Uint8Array(100));
      await streams.begin();
      streams.takeInput();
      streams.closeStdin();
      assert.equal(await streams.drained(1000), true);
      await streams.close();
      if (round === 200) after200 = Deno.memoryUsage().rss;
    }
    const grown = Deno.memoryUsage().rss - after200;
    assert.ok(grown < 24e6, `${grown} bytes more after 800 sets`);
  }));
