/**
 * Descriptors of the host that are open in a container, or are its working directory: CVE-2024-21626, CVE-2016-9962.
 */
import assert from "node:assert/strict";
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { Data } from "../../ffi/program/program.ts";
import { makeRootfs, runtimeTest } from "../bundle.ts";
import { execute, systemTest } from "../command.ts";
import { makeScratch } from "../scratch.ts";
import { type Change, planned } from "./planned_run.ts";
import { patient } from "../patience.ts";

/** Prints what each descriptor of the shell itself leads to. */
const listOwn = "for fd in /proc/$$/fd/*; do readlink $fd; done";

/** A caller that leaves descriptors of the host's root open, as a careless one does (exec's numbers end at 9 in sh). */
const careless = 'exec 3>/dev/null 4</tmp 5</ 6</etc 7</proc 8</sys/fs/cgroup 9</dev/null; exec "$@"';

runtimeTest("leaves no descriptor of the host open in a container", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  const words = (...args: string[]) => ["sh", "-c", careless, "sh", ...runtime.command(...args)];
  await bundle.command("sh", "-c", `${listOwn}; sleep 100`);
  const output = `${scratch.path}/out`;
  const detach = 'out=$1; shift; exec "$@" </dev/null >"$out" 2>&1';
  const { code } = await execute(
    ["sh", "-c", detach, "sh", output, ...words("run", "--detach", "--bundle", bundle.path, id)],
  );
  assert.equal(code, 0);
  const seen = async () => (await Deno.readTextFile(output)).trim().split("\n");
  for (let tries = 0; (await seen()).length < 3 && tries < patient(400); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(await seen(), ["/dev/null", output, output]);
  const exec = await execute(
    words("exec", id, "sh", "-c", `${listOwn}; echo init; for fd in /proc/1/fd/*; do readlink $fd; done`),
  );
  const [own, init] = exec.stdout.split("init\n").map((text) => text.trim().split("\n"));
  assert.equal(own!.length, 3, exec.stdout);
  assert.ok(own!.every((link) => /^(pipe:|\/dev\/null$)/.test(link)), exec.stdout);
  assert.equal(init!.length, 3, exec.stdout);
  // The same descriptors, kept: the test would have seen them.
  const kept = await execute(words("exec", "--preserve-fds", "7", id, "sh", "-c", listOwn));
  assert.match(kept.stdout, /^\/sys\/fs\/cgroup$|^cgroup/m, kept.stdout + kept.stderr);
  await runtime.succeed(["delete", "--force", id]);
});

systemTest("no working directory leads through a descriptor", ["busybox"], async () => {
  await using scratch = await makeScratch();
  const rootfs = `${scratch.path}/rootfs`;
  await makeRootfs(rootfs);
  await Deno.writeTextFile(`${scratch.path}/of-the-host`, "");
  using leaked = openFile(scratch.path, flags("O_RDONLY", "O_DIRECTORY"));
  const run = (number: number, weaken?: Change) =>
    planned({
      rootfs,
      command: ["sh", "-c", "ls; ls ..; ls ../../../.."],
      edit: (spec) => spec.process.cwd = `/proc/self/fd/${number}`,
      ...(weaken === undefined ? {} : { weaken }),
    });
  for (const number of [...Array.from({ length: 24 }, (_, index) => index), leaked.number]) {
    const { failure, output } = await run(number);
    assert.match(failure ?? "", /working directory/, `${number}: ${output}`);
  }
  const weak = await run(leaked.number, (step) => {
    // Nothing is closed, and links of the kernel's are followed.
    if (step.call === "close_range") return undefined;
    if (!step.does.includes("working directory")) return step;
    if (step.call === "mkdirat" || typeof step.args[1] !== "string") return step.call === "fchdir" ? step : undefined;
    const [root, path, how, size] = step.args;
    if (!(how instanceof Data) || !step.does.startsWith("enter")) return undefined;
    const free = new Data(how.bytes.slice(), how.shown);
    free.bytes.fill(0, 16, 24);
    return { ...step, args: [root!, path, free, size!] };
  });
  assert.match(weak.output, /of-the-host/, `${weak.failure}: without both, the attack is to succeed`);
});

runtimeTest("executes nothing in a working directory behind a descriptor", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  await bundle.command("sleep", "100");
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
    ...["run", "--detach", "--bundle", bundle.path, id],
  ]);
  assert.equal(code, 0, stderr);
  for (let number = 3; number < 10; number++) {
    const exec = await execute(
      [
        "sh",
        "-c",
        careless,
        "sh",
        ...runtime.command("exec", "--cwd", `/proc/self/fd/${number}`, id, "ls", "../../.."),
      ],
    );
    assert.notEqual(exec.code, 0, exec.stdout);
    assert.equal(exec.stdout, "");
  }
  assert.equal((await runtime.execute(["exec", "--cwd", "/tmp", id, "ls", "/"])).code, 0);
  await runtime.succeed(["delete", "--force", id]);
});
