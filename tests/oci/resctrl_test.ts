/**
 * Classes of caches and memory bandwidth (`linux.intelRdt`), as far as a host without them shows it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runtimeTest } from "../bundle.ts";

const hasResctrl = (): boolean => / - resctrl /.test(Deno.readTextFileSync("/proc/self/mountinfo"));

runtimeTest("classes of caches are refused by name, and nothing is made", async (bundle, runtime, scratch) => {
  const missing: [intelRdt: Record<string, unknown>, says: string][] = [
    [{ l3CacheSchema: "L3:0=f" }, "intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled"],
    [{ memBwSchema: "MB:0=9" }, "intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled"],
  ];
  const id = scratch.id("c");
  for (
    const [intelRdt, says] of [
      ...(hasResctrl() ? [] : missing),
      [{ closID: "a/b" }, 'invalid intelRdt.ClosID \\"a/b\\"'],
      [{ closID: ".." }, 'invalid intelRdt.ClosID \\"..\\"'],
    ] as const
  ) {
    await bundle.edit((spec) => spec.linux.intelRdt = intelRdt);
    const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, id]);
    assert.equal(code, 1, stderr);
    assert.ok(stderr.includes(says), stderr);
    assert.equal(await runtime.state(id), undefined);
  }
});

runtimeTest(
  "restore refuses a container in a class of caches, and nothing is made",
  async (bundle, runtime, scratch) => {
    await bundle.edit((spec) => spec.linux.intelRdt = { closID: "gold" });
    const id = scratch.id("c");
    const words = ["restore", "--image-path", scratch.path, "--bundle", bundle.path, id];
    const { code, stderr } = await runtime.execute(words);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /linux\.intelRdt: restored processes cannot be put into a class/);
    assert.equal(await runtime.state(id), undefined);
  },
  { only: "barge" },
);

runtimeTest(
  "exec joins the groups of the state, in order, and a delete by force removes the container's own",
  async (bundle, runtime, scratch) => {
    await bundle.command("sleep", "100");
    const id = scratch.id("c");
    await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
    const [joined, own] = [`${scratch.path}/class`, `${scratch.path}/own`];
    await Deno.mkdir(joined);
    await Deno.mkdir(own);
    await Deno.writeTextFile(`${joined}/tasks`, "");
    const file = `${runtime.stateRoot}/${id}/state.json`;
    const state = JSON.parse(await Deno.readTextFile(file));
    await Deno.writeTextFile(file, JSON.stringify({ ...state, resctrl: { joins: [joined], own: [own] } }));
    await runtime.succeed(["exec", id, "true"]);
    // What means the writer itself to the kernel.
    assert.equal(await Deno.readTextFile(`${joined}/tasks`), "0");
    await Deno.remove(`${joined}/tasks`);
    assert.match(
      (await runtime.execute(["exec", id, "true"])).stderr,
      /join the resctrl group \\"[^"]+\/class\\": no such file/,
    );
    await runtime.succeed(["delete", "--force", id]);
    await assert.rejects(Deno.lstat(own), Deno.errors.NotFound);
    assert.ok((await Deno.lstat(joined)).isDirectory);
  },
  { only: "barge" },
);
