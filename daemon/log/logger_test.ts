import { deepEqual, doesNotThrow, equal, match, throws } from "node:assert/strict";
import { type Level, Logger, parseLevel } from "./logger.ts";
import { LogFile } from "./target.ts";

function collecting(level?: Level) {
  const lines: string[] = [];
  const target = { write: (line: string) => void lines.push(line), reopen: () => {} };
  return { lines, log: Logger.to({ target, ...level === undefined ? {} : { level } }) };
}

Deno.test("Logger writes lines of its level and graver ones", () => {
  const { lines, log } = collecting();
  const all = () => {
    for (const level of ["panic", "fatal", "error", "warn", "info", "debug", "trace"] as const) log[level](level);
    return lines.splice(0).map((line) => /level=(\w+)/.exec(line)![1]);
  };
  deepEqual(all(), ["panic", "fatal", "error", "warning", "info"]);
  log.setLevel("trace");
  equal(all().length, 7);
  log.setLevel("panic");
  deepEqual(all(), ["panic"]);
  equal(log.enabled("panic") && !log.enabled("fatal"), true);
});

Deno.test("Logger.with() adds fields; what is changed later counts for all of a log", () => {
  const { lines, log } = collecting("debug");
  const plugin = log.with({ plugin: "p" }).with({ id: 1 });
  plugin.debug("m", { id: 2 });
  match(lines[0]!, /level=debug msg=m id=2 plugin=p\n$/);
  log.setFormat("json");
  plugin.info("m");
  equal(JSON.parse(lines[1]!).plugin, "p");
  log.setLevel("error");
  plugin.info("m");
  equal(lines.length, 2);
});

Deno.test("parseLevel() takes containerd's names", () => {
  deepEqual(["warn", "WARNING", "Info", "trace"].map(parseLevel), ["warning", "warning", "info", "trace"]);
  throws(() => parseLevel("loud"), /not a valid log level: "loud": want one of panic, fatal/);
});

Deno.test("Logger.reopen() goes on in a new file after the old one was renamed", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const path = `${directory}/log`;
    using target = new LogFile(path);
    const log = Logger.to({ target });
    log.info("one");
    await Deno.rename(path, `${path}.1`);
    log.info("two");
    log.reopen();
    log.info("three");
    const messages = async (file: string) => (await Deno.readTextFile(file)).match(/msg=\w+/g);
    deepEqual([await messages(`${path}.1`), await messages(path)], [["msg=one", "msg=two"], ["msg=three"]]);
    equal((await Deno.stat(path)).mode! & 0o777, 0o640);
    // Where it cannot be opened again, lines still go somewhere.
    await Deno.rename(path, `${path}.2`);
    await Deno.mkdir(path);
    log.reopen();
    match((await Deno.readTextFile(`${path}.2`)).split("\n")[1]!, /level=error msg="cannot open the log again/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("LogFile drops a line that cannot be written", () => {
  using target = new LogFile("/dev/full");
  doesNotThrow(() => Logger.to({ target }).info("nobody reads this"));
});

Deno.test("Logger costs next to nothing where a level is off", () => {
  const { lines, log } = collecting();
  const start = performance.now();
  for (let i = 0; i < 1_000_000; i++) log.debug("nothing");
  const ms = performance.now() - start;
  equal(lines.length, 0);
  // Measured 2 to 6 ms; a machine under load may take ten times as long.
  equal(ms < 200, true, `${ms} ms for a million calls`);
});
