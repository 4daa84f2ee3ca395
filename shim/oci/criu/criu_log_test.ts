import assert from "node:assert/strict";
import { errorsIn } from "./criu_log.ts";

Deno.test("errorsIn() gives the first particular errors of a log, each once", () => {
  const log = [
    "(00.1) Dumping",
    'Error (criu/util.c:627): execvp("iptables-restore", ...) failed: No such file or directory',
    "(00.3) Error (criu/util.c:642): exited, status=1",
    "(00.4) Error (criu/net.c:3071): Locking network failed",
    'Error (criu/util.c:627): execvp("iptables-restore", ...) failed: No such file or directory',
    "(00.5) Error (criu/cr-dump.c:2053): Dumping FAILED.",
  ];
  assert.deepEqual(errorsIn(log.join("\n")), [
    'execvp("iptables-restore", ...) failed: No such file or directory',
    "Locking network failed",
  ]);
  assert.deepEqual(errorsIn(log.slice(-1).join("\n")), ["Dumping FAILED."]);
  assert.deepEqual(errorsIn(""), []);
});
