import assert from "node:assert/strict";
import { Descriptor } from "./descriptor.ts";
import { foreignExit } from "./foreign_exit.ts";
import { openPidfd } from "./process.ts";
import { Reactor } from "./reactor.ts";

const [major = 0, minor = 0] = Deno.osRelease().split(".").map(Number);
/** Before Linux 6.15 who reaps quickly takes the answer along. */
const isAlwaysTold = major > 6 || major === 6 && minor >= 15;

/** Starts a process that is not a child of this one, which ends when its standard input does; gives its number. */
async function startForeign(ending: string): Promise<{ pid: number; start: string; end: () => Promise<void> }> {
  // The outer shell ends at once: whoever reaps orphans reaps the inner one.
  const shell = new Deno.Command("/bin/sh", {
    args: ["-c", `exec 3<&0; (read line <&3; ${ending}) >/dev/null & echo $!`],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const pid = Number(await new Response(shell.stdout).text());
  await shell.status;
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]!;
  return { pid, start, end: () => shell.stdin.close() };
}

for (
  const [ending, wanted] of [["exit 42", { code: 42 }], ["exit 0", { code: 0 }], ["kill -9 $$", { signal: 9 }]] as const
) {
  Deno.test(`foreignExit() tells how somebody else's child ended by "${ending}"`, async () => {
    using reactor = new Reactor();
    // In the subshell $$ is the outer shell's number; its own is what /proc/self leads to.
    const { pid, start, end } = await startForeign(ending.replace("$$", '$(exec sh -c "echo \\$PPID")'));
    using pidfd = new Descriptor(openPidfd(pid));
    const exit = foreignExit(reactor, { pid, start, pidfd: pidfd.number });
    await end();
    const status = await exit;
    if (status !== undefined || isAlwaysTold) assert.deepEqual(status, wanted);
  });
}

Deno.test("foreignExit() knows nothing of a process whose number is another one's", async () => {
  using reactor = new Reactor();
  const { pid, end } = await startForeign("exit 42");
  using pidfd = new Descriptor(openPidfd(pid));
  const exit = foreignExit(reactor, { pid, start: "1", pidfd: pidfd.number });
  await end();
  // Somebody may have reaped it by now, and then the kernel tells by the pidfd alone.
  const status = await exit;
  assert(status === undefined || "code" in status && status.code === 42);
});

Deno.test("foreignExit() ends with its signal", async () => {
  using reactor = new Reactor();
  const { pid, start, end } = await startForeign("exit 0");
  using pidfd = new Descriptor(openPidfd(pid));
  const abort = new AbortController();
  const exit = foreignExit(reactor, { pid, start, pidfd: pidfd.number }, abort.signal);
  abort.abort(new Error("enough"));
  await assert.rejects(exit, { message: "enough" });
  await end();
});
