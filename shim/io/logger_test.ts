import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { exitCode } from "../../ffi/process.ts";
import { call } from "../../ffi/syscall.ts";
import { contents, nothing, run, runWhole, withFifos, writeLogger } from "../../tests/stream_client.ts";
import { openStandardStreams, resumeStandardStreams } from "./standard_streams.ts";

Deno.test("binary:// starts one logger with descriptors, arguments and environment, and waits for its end", () =>
  withFifos(async (reactor, path) => {
    const body = `tr '\\0' ' ' </proc/$$/environ >"$2/env"; echo "$@" >"$2/args"; readlink /proc/$$/fd/0 >"$2/null"
exec 5>&-; cat <&4 >"$2/two" & cat <&3 >"$2/one"; wait; sleep 0.1; echo done >"$2/done"`;
    writeLogger(path("logger"), body);
    const uri = `binary://${path("logger")}?dir=${path("")}&flag&dir=other`;
    assert.equal(await runWhole(reactor, { stdout: uri, stderr: uri }, "echo one; echo two >&2"), true);
    const read = (name: string): string => contents(path(name)).trim();
    assert.equal(
      read("env").split(" ").filter((line) => /^CONT/.test(line)).join(" "),
      "CONTAINER_ID=c1 CONTAINER_NAMESPACE=testing",
    );
    assert.equal(read("args"), `dir ${path("")} flag`);
    assert.deepEqual(["one", "two", "done", "null"].map(read), ["one", "two", "done", "/dev/null"]);
  }));

Deno.test("a logger that dies does not end the container", () =>
  withFifos(async (reactor, path) => {
    writeLogger(path("logger"), "exec 5>&-; read line <&3; exit 1");
    const warnings: string[] = [];
    const uri = `binary://${path("logger")}`;
    const options = { ...nothing, stdout: uri, stderr: uri, warn: (text: string) => warnings.push(text) };
    const streams = await openStandardStreams(reactor, options);
    const process = await run(
      reactor,
      streams,
      "echo one; sleep 0.2; head -c 1000000 /dev/zero && echo x >&2 && exit 9",
    );
    assert.equal(exitCode(await process.end()), 9);
    assert.equal(await streams.drained(5000), true);
    await streams.close();
    assert.equal(warnings.length, 2);
  }));

Deno.test("a logger that stays is asked to end by close(), and one that cannot be executed is refused", () =>
  withFifos(async (reactor, path) => {
    writeLogger(
      path("logger"),
      `trap 'echo asked >${path("asked")}; exit' TERM; exec 5>&-; while :; do sleep 0.05; done`,
    );
    const uri = `binary://${path("logger")}`;
    const streams = await openStandardStreams(reactor, { ...nothing, stdout: uri, stderr: uri });
    const process = await run(reactor, streams, "echo one");
    await process.end();
    assert.equal(await streams.drained(100), false);
    await streams.close();
    assert.equal(contents(path("asked")), "asked\n");
    const missing = `binary://${path("nowhere")}`;
    await assert.rejects(openStandardStreams(reactor, { ...nothing, stdout: missing, stderr: missing }), {
      message: `failed to start binary process: fork/exec ${path("nowhere")}: no such file or directory`,
    });
    writeLogger(path("silent"), "exit 0");
    const silent = `binary-v2://${path("silent")}`;
    await assert.rejects(openStandardStreams(reactor, { ...nothing, stdout: silent, stderr: silent }), /EOF/);
  }));

Deno.test("resumeStandardStreams() leaves a logger that runs alone, and notices when it dies", () =>
  withFifos(async (reactor, path) => {
    writeLogger(path("logger"), `exec 5>&-; read line <&3; echo "$line" >${path("one")}; read line <&3; exit 1`);
    const uri = `binary://${path("logger")}`;
    const warnings: string[] = [];
    const options = { ...nothing, stdout: uri, stderr: uri, warn: (text: string) => warnings.push(text) };
    const first = await openStandardStreams(reactor, options);
    const process = await run(reactor, first, "echo a; sleep 0.3; echo b; head -c 1000000 /dev/zero && exit 9");
    const copy = (end: Descriptor | undefined) =>
      new Descriptor(call("fcntl", end!.number, flags("F_DUPFD_CLOEXEC"), 0));
    const { stdout, stderr, logger } = first.ends;
    const second = await resumeStandardStreams(reactor, options, {
      stdout: copy(stdout),
      stderr: copy(stderr),
      logger: copy(logger),
    });
    await second.begin();
    assert.equal(exitCode(await process.end()), 9);
    assert.equal(await second.drained(5000), true);
    await second.close();
    assert.equal(contents(path("one")), "a\n");
    // The first has seen it die as well: it has not ended like a shim.
    assert.ok(warnings.length >= 1);
    await first.close();
  }));
