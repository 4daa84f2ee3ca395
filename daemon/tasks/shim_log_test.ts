import assert from "node:assert/strict";
import { Reactor } from "../../ffi/reactor.ts";
import { Logger } from "../log/logger.ts";
import { parseShimLine, ShimLog } from "./shim_log.ts";

Deno.test("parseShimLine() reads lines of Go's logger and takes others as they are", () => {
  const head = 'time="2026-01-01T00:00:00Z" ';
  assert.deepEqual(parseShimLine(`${head}level=warning msg="it \\"fails\\"" id=1`), {
    level: "warn",
    message: 'it "fails" id=1',
  });
  assert.deepEqual(parseShimLine("level=debug msg=short"), { level: "debug", message: "short" });
  assert.deepEqual(parseShimLine("level=fatal msg=end"), { level: "error", message: "end" });
  for (const line of ["panic: oops", "level=strange msg=x", 'level=info msg="open']) {
    assert.equal(parseShimLine(line).message, line);
  }
  assert.deepEqual(parseShimLine('level=info msg="\\a"'), { level: "info", message: "\\a" });
});

Deno.test("ShimLog puts a bundle's log into the daemon's, also long lines and the last one", async () => {
  const directory = await Deno.makeTempDir();
  try {
    let text = "";
    const log = Logger.to({ target: { write: (line: string) => void (text += line), reopen: () => {} } });
    using reactor = new Reactor();
    const shimLog = new ShimLog(reactor, directory, log, { id: "one" });
    assert.equal(Deno.statSync(`${directory}/log`).mode! & 0o777, 0o700);
    await Deno.writeTextFile(`${directory}/log`, "first\nlevel=error msg=second\nno end", { append: true });
    for (const end = performance.now() + 5000; !text.includes("second") && performance.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.match(text, /level=info msg=first id=one\n.*level=error msg=second id=one\n$/);
    await Deno.writeTextFile(`${directory}/log`, "x".repeat(20_000), { append: true });
    for (const end = performance.now() + 5000; !text.includes("xxxx") && performance.now() < end;) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Deno.writeTextFile(`${directory}/log`, "last", { append: true });
    shimLog[Symbol.dispose]();
    assert.match(text, /no endxxx/);
    assert.match(text, /msg=last id=one\n$/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
