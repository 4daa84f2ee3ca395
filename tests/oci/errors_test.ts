/**
 * A command that cannot be executed: the sentence says what is wrong with the file, at create, run and exec.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Bundle, runtimeTest } from "../bundle.ts";

/** What lies in the container, what each runtime must say (callers look for it), and what barge adds. */
interface Broken {
  readonly command: string;
  readonly says: string;
  readonly because: RegExp;
}

const brokens: readonly Broken[] = [
  { command: "/crlf", says: "no such file or directory", because: /"\/bin\/sh\\r" is looked for/ },
  {
    command: "/lost",
    says: "no such file or directory",
    because: /the interpreter "\/bin\/nope" of its #! line does not/,
  },
  { command: "/dynamic", says: "no such file or directory", because: /its dynamic loader "\/lib\S+" does not exist/ },
  { command: "/foreign", says: "exec format error", because: /a program for s390x, and this machine is / },
  { command: "/text", says: "exec format error", because: /neither a program nor a script/ },
  { command: "/empty", says: "exec format error", because: /the file is empty/ },
];

/** Those that are found out when the container is created; the others need an attempt. */
const refusedAtCreate: readonly Broken[] = [
  { command: "/plain", says: "permission denied", because: /not executable: its mode is 0644/ },
  { command: "/noexec/busybox", says: "permission denied", because: /a file system that is mounted noexec/ },
  { command: "/missing", says: "no such file or directory", because: /stat \/missing/ },
  { command: "nothing-of-this-name", says: "executable file not found in $PATH", because: /nothing-of-this-name/ },
];

async function breakFiles({ rootfs }: Bundle): Promise<void> {
  const write = (name: string, text: string | Uint8Array, mode = 0o755) =>
    Deno.writeFile(`${rootfs}/${name}`, typeof text === "string" ? new TextEncoder().encode(text) : text, { mode });
  await write("crlf", "#!/bin/sh\r\necho hi\r\n");
  await write("lost", "#!/bin/nope -e\n");
  await write("text", "echo hi\n");
  await write("empty", "");
  await write("plain", "#!/bin/sh\n", 0o644);
  const foreign = await Deno.readFile(`${rootfs}/bin/busybox`);
  foreign[18] = 22; // e_machine: EM_S390
  await write("foreign", foreign);
  // Linked dynamically on every host that has a libc; the container has none.
  await Deno.copyFile("/bin/true", `${rootfs}/dynamic`);
  await Deno.mkdir(`${rootfs}/noexec`);
  await Deno.copyFile(`${rootfs}/bin/busybox`, `${rootfs}/noexec/busybox`);
}

async function mountNoexec(bundle: Bundle): Promise<void> {
  await bundle.edit((spec) =>
    spec.mounts.push({
      destination: "/noexec",
      type: "bind",
      source: `${bundle.rootfs}/noexec`,
      options: ["bind", "noexec"],
    })
  );
}

runtimeTest("run names what keeps the command from being executed", async (bundle, runtime, scratch) => {
  await breakFiles(bundle);
  await mountNoexec(bundle);
  for (const { command, says, because } of [...brokens, ...refusedAtCreate]) {
    await bundle.command(command);
    const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
    assert.notEqual(code, 0, command);
    assert.ok(stderr.includes(says), `${command}: ${stderr}`);
    if (runtime.name === "barge") {
      assert.match(stderr.replaceAll('\\"', '"').replaceAll("\\\\", "\\"), because, command);
    }
    // runc leaves a container whose command could not be executed, once it has been created.
    await runtime.execute(["delete", "--force", scratch.id("c")]);
  }
});

runtimeTest("create refuses a command that is missing or may not be executed", async (bundle, runtime, scratch) => {
  await breakFiles(bundle);
  await mountNoexec(bundle);
  for (const { command, says, because } of refusedAtCreate) {
    await bundle.command(command);
    const id = scratch.id("c");
    const { code, stderr } = await runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
    assert.equal(code, 1, command);
    assert.ok(stderr.includes(says), `${command}: ${stderr}`);
    if (runtime.name === "barge") assert.match(stderr.replaceAll('\\"', '"'), because, command);
    assert.equal(await runtime.state(id), undefined);
  }
});

runtimeTest("exec names what keeps the command from being executed", async (bundle, runtime, scratch) => {
  await breakFiles(bundle);
  await mountNoexec(bundle);
  await bundle.command("sleep", "100");
  const id = scratch.id("c");
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  for (const { command, says, because } of [...brokens, ...refusedAtCreate]) {
    const { code, stderr } = await runtime.execute(["exec", id, command]);
    // runc gives 1 where the kernel finds it out, and 255 where runc itself does.
    if (runtime.name === "barge") assert.equal(code, 255, command);
    else assert.ok([1, 255].includes(code), command);
    assert.ok(stderr.includes(says), `${command}: ${stderr}`);
    if (runtime.name === "barge") {
      assert.match(stderr.replaceAll('\\"', '"').replaceAll("\\\\", "\\"), because, command);
    }
  }
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest(
  "a created container says on its own error output why it could not start",
  async (bundle, runtime, scratch) => {
    await breakFiles(bundle);
    // One for each of the kernel's errors.
    for (const { command, says } of brokens.filter(({ command }) => ["/dynamic", "/foreign"].includes(command))) {
      await bundle.command(command);
      const id = scratch.id("c");
      const { code, stderr } = await runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
      assert.equal(code, 0, stderr);
      await runtime.execute(["start", id]);
      await runtime.reaches(id, "stopped");
      assert.equal(await Deno.readTextFile(`${scratch.path}/out`), `exec ${command}: ${says}\n`);
      await runtime.succeed(["delete", id]);
    }
  },
);
