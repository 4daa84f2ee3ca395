import assert from "node:assert/strict";
import { commandHelp } from "./command_help.ts";

Deno.test("commandHelp() names the flags of a command that is asked for help", () => {
  assert.match(commandHelp("kill", ["--help"]) ?? "", /^Usage: barge oci kill \[flags\] ID \[SIGNAL\]\n/);
  assert.match(commandHelp("run", ["--bundle", "/b", "-h"]) ?? "", /--detach/);
});

Deno.test("commandHelp() leaves other words to the command", () => {
  assert.equal(commandHelp("exec", ["id", "ls", "-h"]), undefined);
  assert.equal(commandHelp("exec", ["--galaxy", "-h"]), undefined);
  assert.equal(commandHelp("galaxy", ["-h"]), undefined);
});
