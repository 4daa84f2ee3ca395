/**
 * A daemon that kills itself before the n-th step that changes a disk or the database, for `faults_kill_test.ts`.
 *
 * Arguments: n, or 0 for saying at the end how many steps there were; the daemon's own follow.
 *
 * @module
 */
import { DatabaseSync, StatementSync } from "node:sqlite";
import { main } from "../../cli/daemon/daemon.ts";

const [at, ...args] = Deno.args;
const killAt = Number(at);
let steps = 0;

function step(): void {
  steps++;
  if (steps !== killAt) return;
  Deno.kill(Deno.pid, "SIGKILL");
  // The signal may need a moment, in which nothing may be done.
  for (;;);
}

/** Makes a method a step. `owner` is typed loosely: its methods are replaced by what takes and gives the same. */
function countCalls(owner: object, names: readonly string[]): void {
  const methods = owner as Record<string, (...args: unknown[]) => unknown>;
  for (const name of names) {
    const original = methods[name]!;
    methods[name] = function (this: unknown, ...args: unknown[]) {
      step();
      return original.apply(this, args);
    };
  }
}

countCalls(Deno, ["renameSync", "rename", "mkdirSync", "mkdir", "writeFileSync", "writeTextFileSync", "chmodSync"]);
countCalls(Deno, ["removeSync", "remove", "truncateSync", "copyFile", "chownSync", "linkSync", "symlinkSync"]);
countCalls(Deno.FsFile.prototype, ["write", "writeSync", "truncateSync", "syncData", "syncDataSync"]);
countCalls(DatabaseSync.prototype, ["exec"]);
countCalls(StatementSync.prototype, ["run"]);

const code = await main(args);
if (killAt === 0) console.error(`steps ${steps}`);
Deno.exit(code);
