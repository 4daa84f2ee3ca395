import assert from "node:assert/strict";
import { commandHelp, globalHelp, helpOf } from "./command_help.ts";

Deno.test("commandHelp() names the flags of a command that is asked for help", () => {
  assert.match(commandHelp("kill", ["--help"], "barge oci") ?? "", /^Usage: barge oci kill \[flags\] ID \[SIGNAL\]\n/);
  assert.match(commandHelp("run", ["--bundle", "/b", "-h"], "barge oci") ?? "", /--detach/);
});

Deno.test("commandHelp() leaves other words to the command", () => {
  assert.equal(commandHelp("exec", ["id", "ls", "-h"], "barge oci"), undefined);
  assert.equal(commandHelp("exec", ["--galaxy", "-h"], "barge oci"), undefined);
  assert.equal(commandHelp("galaxy", ["-h"], "barge oci"), undefined);
});

Deno.test("commandHelp() has runc's headings under its name", () => {
  const text = commandHelp("run", ["-h"], "runc") ?? "";
  assert.match(text, /^NAME:\n {3}runc run - .*\n\nUSAGE:\n {3}runc run \[command options\] <container-id>\n/);
  assert.match(text, /\nOPTIONS:\n {3}--bundle value, -b value +\S.*\n[^]* {3}--help, -h +show help\n$/);
  const whole = globalHelp("runc", ["runc version 1", "commit: c"]);
  assert.match(whole, /^NAME:\n {3}runc - Open Container Initiative runtime\n\nUSAGE:\n/);
  for (const part of ["VERSION", "COMMANDS", "GLOBAL OPTIONS"]) assert.match(whole, new RegExp(`\n${part}:\n   \\S`));
  assert.equal(helpOf("constructor", "runc"), undefined);
});
