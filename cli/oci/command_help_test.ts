import assert from "node:assert/strict";
import { asksForHelp, commandHelp } from "./command_help.ts";

Deno.test("asksForHelp() looks at flags before the first other word only", () => {
  assert.equal(asksForHelp(["--detach", "-h"]), true);
  assert.equal(asksForHelp(["-help"]), true);
  assert.equal(asksForHelp(["id", "ls", "-h"]), false);
});

Deno.test("commandHelp() names the flags of a command, and knows no others", () => {
  assert.match(commandHelp("kill") ?? "", /^Usage: barge oci kill \[flags\] ID \[SIGNAL\]\n/);
  assert.match(commandHelp("run") ?? "", /--detach/);
  assert.equal(commandHelp("galaxy"), undefined);
});
