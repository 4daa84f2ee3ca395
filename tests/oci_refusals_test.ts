/**
 * What the OCI runtime refuses, and what it says then.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runtimeTest } from "./bundle.ts";

/** Every way in which a command cannot be run, and what `create` must say of it. */
const unrunnable: [what: string, args: string[], prepare: (rootfs: string) => Promise<void>, says: RegExp][] = [
  ["is not in PATH", ["no-such-program"], async () => {}, /executable file not found in \$PATH/],
  ["does not exist", ["/no/such/program"], async () => {}, /no such file or directory/],
  [
    "is not executable",
    ["/plain"],
    (rootfs) => Deno.writeTextFile(`${rootfs}/plain`, "x", { mode: 0o644 }),
    /permission denied/,
  ],
  ["is a directory", ["/bin"], async () => {}, /is a directory|permission denied/],
];

for (const [what, args, prepare, says] of unrunnable) {
  runtimeTest(`create fails where the command ${what}`, async (bundle, runtime, scratch) => {
    await prepare(bundle.rootfs);
    await bundle.command(...args);
    const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
      ...["create", "--bundle", bundle.path, scratch.id("c")],
    ]);
    assert.equal(code, 1);
    assert.match(stderr, says);
    assert.match(stderr, /runc create failed: unable to start container process: /);
    assert.equal(await runtime.state(scratch.id("c")), undefined);
  });
}

/** What only execve finds out: the container was created by then. */
const unexecutable: [what: string, write: (path: string) => Promise<void>, says: RegExp][] = [
  [
    "has a loader that is missing",
    async (path) => {
      await Deno.copyFile("/bin/ls", path);
      await Deno.chmod(path, 0o755);
    },
    /no such file or directory/,
  ],
  [
    "is of another architecture",
    async (path) => {
      const elf = await Deno.readFile("/usr/bin/busybox");
      elf[18] = 0x16; // e_machine: s390
      await Deno.writeFile(path, elf, { mode: 0o755 });
    },
    /exec format error/,
  ],
  [
    "is a script with a carriage return in its first line",
    (path) => Deno.writeTextFile(path, "#!/bin/sh\r\necho no\r\n", { mode: 0o755 }),
    /no such file or directory/,
  ],
  ["is empty", (path) => Deno.writeTextFile(path, "", { mode: 0o755 }), /exec format error/],
];

for (const [what, write, says] of unexecutable) {
  runtimeTest(`run fails where the command ${what}`, async (bundle, runtime, scratch) => {
    await write(`${bundle.rootfs}/program`);
    await bundle.command("/program");
    const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
  });
}

runtimeTest("run names what is missing of a script or program", async (bundle, runtime, scratch) => {
  await Deno.copyFile("/bin/ls", `${bundle.rootfs}/dynamic`);
  await Deno.chmod(`${bundle.rootfs}/dynamic`, 0o755);
  await Deno.writeTextFile(`${bundle.rootfs}/script`, "#!/bin/sh\r\necho no\r\n", { mode: 0o755 });
  for (const [program, hint] of [["/dynamic", /loader|interpreter/], ["/script", /carriage return|\\r|CR/]] as const) {
    await bundle.command(program);
    const { stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
    assert.match(stderr, hint);
  }
}, { only: "barge" });

runtimeTest("a configuration that is wrong is refused in one sentence", async (bundle, runtime, scratch) => {
  const text = await Deno.readTextFile(`${bundle.path}/config.json`);
  const cases: [change: (spec: Record<string, Record<string, unknown>>) => void, says: RegExp][] = [
    [(spec) => delete spec.process, /process/],
    [(spec) => spec.process!.args = [], /args/],
    [(spec) => spec.process!.cwd = "relative", /cwd/i],
    [(spec) => spec.root!.path = "/no/such/root", /\/no\/such\/root/],
    [(spec) => spec.linux!.namespaces = [{ type: "galaxy" }], /galaxy/],
    [(spec) => spec.process!.rlimits = [{ type: "RLIMIT_NONE", soft: 1, hard: 1 }], /RLIMIT_NONE/],
  ];
  for (const [change, says] of cases) {
    const spec = JSON.parse(text);
    change(spec);
    await Deno.writeTextFile(`${bundle.path}/config.json`, JSON.stringify(spec));
    const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, says);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
  }
  await Deno.writeTextFile(`${bundle.path}/config.json`, "{ no json");
  const broken = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
  assert.deepEqual([broken.code, broken.stderr.trim().split("\n").length], [1, 1], broken.stderr);
  await runtime.execute(["list"]);
  await Deno.mkdir(runtime.stateRoot, { recursive: true });
}, { only: "barge" });
