/**
 * The runtime's own executable: it can be neither run, read nor overwritten from a container. CVE-2019-5736.
 */
import assert from "node:assert/strict";
import { hostArch } from "../../ffi/arch.ts";
import { makeRootfs, runtimeTest } from "../bundle.ts";
import { systemTest } from "../command.ts";
import { installedDeno } from "../installed.ts";
import { makeScratch } from "../scratch.ts";
import { planned } from "./planned_run.ts";

/** The dynamic loader that the runtime's executable names. */
const loader = { x86_64: "/lib64/ld-linux-x86-64.so.2", aarch64: "/lib/ld-linux-aarch64.so.1" }[hostArch];

/** An image as the attack has it: a command that is the runtime again, and a dynamic loader, which could be any code. */
async function makeHostile(rootfs: string): Promise<void> {
  await Deno.writeTextFile(`${rootfs}/bin/hostile`, "#!/proc/self/exe\n", { mode: 0o755 });
  await Deno.mkdir(`${rootfs}${loader.slice(0, loader.lastIndexOf("/"))}`, { recursive: true });
  await Deno.copyFile(loader, `${rootfs}${loader}`);
}

systemTest("a command that is /proc/self/exe again does not run the runtime", ["busybox"], async () => {
  await using scratch = await makeScratch();
  const rootfs = `${scratch.path}/rootfs`;
  await makeRootfs(rootfs);
  await makeHostile(rootfs);
  const run = { rootfs, command: ["/bin/hostile"] };
  const { failure, output } = await planned(run);
  assert.match(failure ?? "", /^exec \/bin\/hostile: /, output);
  const weak = await planned({
    ...run,
    // The kernel refuses to exchange the executable while the old one's code is mapped.
    weaken: (step) =>
      step.call === "munmap" || step.call === "rseq" || /sealed stub/.test(step.does) ? undefined : step,
  });
  // The loader runs, with the runtime as /proc/self/exe, and lacks its libraries.
  assert.match(
    weak.output,
    /error while loading shared libraries/,
    `${weak.failure}: without the stub the attack is to succeed`,
  );
  await scratch.assertNothingLeft();
});

runtimeTest("is not executed by a container's command, and stays as it is", async (bundle, runtime, scratch) => {
  await makeHostile(bundle.rootfs);
  const before = Deno.statSync(installedDeno);
  const id = scratch.id("c");
  await bundle.command("/bin/hostile");
  const run = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("r")]);
  assert.notEqual(run.code, 0);
  assert.doesNotMatch(run.stdout + run.stderr, /loading shared libraries/);
  // A container that has replaced its shell, and waits for somebody to execute it.
  const overwrite =
    "while :; do for exe in /proc/[0-9]*/exe; do case $exe in /proc/1/*|/proc/self/*) continue;; esac; " +
    "(echo overwritten >$exe) 2>/dev/null && readlink $exe; done; done";
  await bundle.command("sh", "-c", overwrite);
  const output = `${scratch.path}/out`;
  assert.equal((await runtime.detached(output, ["run", "--detach", "--bundle", bundle.path, id])).code, 0);
  for (let round = 0; round < 5; round++) {
    const exec = await runtime.execute(["exec", id, "/bin/hostile"]);
    assert.notEqual(exec.code, 0);
    assert.doesNotMatch(exec.stdout + exec.stderr, /loading shared libraries/);
  }
  await runtime.succeed(["delete", "--force", id]);
  assert.doesNotMatch(await Deno.readTextFile(output), /memfd|deno|barge|runc/);
  const after = Deno.statSync(installedDeno);
  assert.deepEqual([after.size, after.mtime], [before.size, before.mtime]);
}, { only: "barge" });
