/**
 * Values that mean one thing to who checks them and another to the kernel, and names that lead elsewhere:
 * CVE-2021-43784, CVE-2024-40635.
 */
import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { parseSpec } from "../../shim/oci/spec/parse.ts";
import { type FullSpec, runtimeTest } from "../bundle.ts";

type Edit = (spec: FullSpec) => void;

const bind = (destination: string, source = "/tmp"): Edit => (spec) =>
  spec.mounts.push({ destination, type: "bind", source, options: ["bind"] });

/** What is refused before anything is made. */
const hostile: readonly [what: string, edit: Edit][] = [
  // The kernel's paths end at a NUL: "/proc\0x" is no path over proc to who looks at all of it.
  ["a NUL in a mount's destination", bind("/proc\0x")],
  ["a NUL in a mount's source", bind("/mnt", "/etc\0x")],
  ["a NUL in the working directory", (spec) => spec.process.cwd = "/tmp\0x"],
  ["a NUL in an argument", (spec) => spec.process.args = ["true", "a\0b"]],
  ["a NUL in the environment", (spec) => spec.process.env!.push("A=b\0C=d")],
  ["a NUL in the root's path", (spec) => spec.root.path += "\0x"],
  ["a NUL in a masked path", (spec) => spec.linux.maskedPaths!.push("/etc\0x")],
  ["a NUL in a namespace's path", (spec) => spec.linux.namespaces![0]!.path = "/proc/1/ns/pid\0x"],
  // setresuid(-1) changes nothing: the process would stay root.
  ["the user -1", (spec) => spec.process.user.uid = 0xffffffff],
  ["the group -1", (spec) => spec.process.user.gid = 0xffffffff],
  ["the further group -1", (spec) => spec.process.user.additionalGids = [0xffffffff]],
  ["the user 2^32, which is 0 in 32 bits", (spec) => spec.process.user.uid = 2 ** 32],
  ["a sysctl that climbs out of its directory", (spec) => spec.linux.sysctl = { "net/../kernel/core_pattern": "|/x" }],
  ["a sysctl that is the host's", (spec) => spec.linux.sysctl = { "kernel.core_pattern": "|/x" }],
  ["a mount over the root itself", bind("/tmp/..")],
];

/** A start of the program takes time: the others are given to what it reads them with. */
const performed = /mount|user -1|climbs/;

runtimeTest("refuses values that would mean something else to the kernel", async (bundle, runtime, scratch) => {
  const config = `${bundle.path}/config.json`;
  const original = await Deno.readTextFile(config);
  assert.ok(parseSpec(original));
  const run = () => runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
  for (const [what, edit] of hostile) {
    await Deno.writeTextFile(config, original);
    await bundle.edit(edit);
    if (!performed.test(what)) {
      assert.throws(() => parseSpec(Deno.readTextFileSync(config)), Failure, what);
      continue;
    }
    const { code, stdout, stderr } = await run();
    assert.equal(code, 1, `${what}: ${stdout}${stderr}`);
    assert.equal(stderr.trim().split("\n").length, 1, `${what}: ${stderr}`);
    await scratch.assertNothingLeft(what);
  }
  await Deno.writeTextFile(config, original);
  await bundle.command("true");
  assert.equal((await run()).code, 0);
}, { only: "barge" });

runtimeTest("takes no id for the path of somebody else's directory", async (bundle, runtime, scratch) => {
  const victim = `${scratch.path}/victim`;
  await Deno.mkdir(victim);
  await Deno.writeTextFile(`${victim}/state.json`, "{}");
  for (const id of ["../victim", "..", victim, "a\nb", ""]) {
    for (const args of [["create", "--bundle", bundle.path], ["delete", "--force"], ["state"]]) {
      const { code } = await runtime.execute([...args, id]);
      // runc's own `delete --force` of what cannot be a container succeeds in having none.
      if (args[0] !== "delete") assert.equal(code, 1, `${args.join(" ")} ${JSON.stringify(id)}`);
    }
  }
  assert.equal(await Deno.readTextFile(`${victim}/state.json`), "{}");
}, { only: "barge" });

runtimeTest("lets no line break of a path pass for another mount or cgroup", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  await bundle.edit((spec) => {
    spec.process.args = ["sh", "-c", "grep -c tmpfs.*broken /proc/self/mountinfo"];
    spec.mounts.push({ destination: "/tmp/broken\n1 1 0:1 / /", type: "tmpfs", source: "tmpfs", options: [] });
  });
  const { code, stdout, stderr } = await runtime.execute(["run", "--bundle", bundle.path, id]);
  // The kernel writes the line break as \012, so it is one line of one mount.
  assert.deepEqual([code, stdout], [1, "0\n"], stderr);
  await bundle.edit((spec) => spec.process.args = ["sh", "-c", "grep -c 'broken.012' /proc/self/mountinfo"]);
  assert.equal((await runtime.execute(["run", "--bundle", bundle.path, id])).stdout, "1\n");
});
