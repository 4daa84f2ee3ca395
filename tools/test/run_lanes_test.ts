import assert from "node:assert/strict";
import { divide, type Lane, lanes } from "./lanes.ts";
import type { FileResult, FileRunOptions } from "./run_file.ts";
import { runLanes } from "./run_lanes.ts";

const lane = (name: string, change: Partial<Lane> = {}): Lane => ({
  name,
  files: new RegExp(`^${name}/`),
  width: 1,
  isBeside: false,
  isShown: true,
  fileMinutesMax: 1,
  before: [],
  ...change,
});

const result = (path: string, failed = 0): FileResult => ({
  path,
  counts: { passed: 1, failed, skipped: 0 },
  output: `all that ${path} wrote`,
  seconds: 1,
});

Deno.test("divide() puts each file into the first lane that it fits", () => {
  const paths = [
    "api/a_test.ts",
    "tests/systemd/manager_test.ts",
    "tests/vm/vm_test.ts",
  ];
  const found = divide(paths).map(({ lane, paths }) => [lane.name, ...paths]);
  assert.deepEqual(found, [
    ["unit tests", "api/a_test.ts"],
    ["tests in virtual machines", "tests/vm/vm_test.ts"],
    ["tests with peers", "tests/systemd/manager_test.ts"],
  ]);
  assert.deepEqual(divide(["tests/run_test.ts"]).map(({ lane }) => lane.name), ["tests with peers"]);
  // Whatever is added, all of it runs somewhere.
  assert.ok(lanes.some(({ files }) => files.test("new/place_test.ts")));
});

Deno.test("runLanes() runs a lane beside the others, and says what it has to say between their files", async () => {
  const said: string[] = [];
  const apart = Promise.withResolvers<void>();
  const begun: string[] = [];
  const runs = divide(["b/1", "b/2", "v/1"], [lane("b"), lane("v", { isBeside: true, isShown: false })]);
  const counts = await runLanes(runs, {
    async run(path) {
      begun.push(path);
      if (path === "v/1") return (apart.resolve(), result(path, 1));
      await apart.promise;
      // Whatever waits for the other lane's end has happened then.
      await new Promise((resolve) => setTimeout(resolve, 0));
      said.push(`shows ${path}`);
      return result(path);
    },
    say: (text) => said.push(text),
  });
  assert.deepEqual(begun, ["v/1", "b/1", "b/2"]);
  assert.deepEqual(said, [
    "\n== v, beside the others",
    "\n== b",
    "shows b/1",
    "all that v/1 wrote\nv/1: 1 passed, 1 failed (1.0 s)",
    "b/1: 1 passed, 0 failed (1.0 s)",
    "shows b/2",
    "b/2: 1 passed, 0 failed (1.0 s)",
  ]);
  assert.deepEqual(counts.map(({ failed }) => failed).sort(), [0, 0, 1]);
});

Deno.test("runLanes() runs as many files of a lane at once as it is wide, and shows a lane that is alone", async () => {
  let [now, most] = [0, 0];
  const shown: boolean[] = [];
  const run = async (path: string, { show }: FileRunOptions) => {
    most = Math.max(most, ++now);
    shown.push(show);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
    return result(path);
  };
  const say = () => {};
  await runLanes(divide(["a/1", "a/2", "a/3", "a/4"], [lane("a", { width: 2, isShown: false })]), { run, say });
  assert.deepEqual([most, shown.some((show) => show)], [2, false]);
  shown.length = 0;
  await runLanes(divide(["a/1"], [lane("a", { isBeside: true, isShown: false })]), { run, say });
  assert.deepEqual(shown, [true]);
});

Deno.test("runLanes() ends all lanes before it throws what one threw", async () => {
  const ended: string[] = [];
  const run = async (path: string) => {
    if (path === "v/1") throw new Error("no such program");
    await new Promise((resolve) => setTimeout(resolve, 20));
    ended.push(path);
    return result(path);
  };
  const runs = divide(["b/1", "b/2", "v/1"], [lane("b"), lane("v", { isBeside: true })]);
  await assert.rejects(runLanes(runs, { run, say() {} }), /no such program/);
  assert.deepEqual(ended, ["b/1", "b/2"]);
});

Deno.test("runLanes() gives a file what is left of its lane's time, and no less than a minute", async () => {
  const found: Record<string, number> = {};
  const run = async (path: string, { msMax }: FileRunOptions) => {
    found[path] = msMax;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return result(path);
  };
  const slow = { fileMinutesMax: 5 };
  const all = [lane("a", slow), lane("b", { ...slow, minutesMax: 3 }), lane("c", { ...slow, minutesMax: 0 })];
  await runLanes(divide(["a/1", "b/1", "b/2", "c/1"], all), { run, say() {} });
  assert.deepEqual([found["a/1"], found["c/1"]], [300_000, 60_000]);
  assert.ok(found["b/1"]! <= 180_000 && found["b/2"]! <= 179_990);
});

Deno.test("runLanes() asks a lane beside the others to hurry when those are done, and no lane that is alone", async () => {
  const done: string[] = [];
  const run = async (path: string, { hurry }: FileRunOptions) => {
    if (hurry !== undefined && !hurry.aborted) await new Promise((resolve) => hurry.addEventListener("abort", resolve));
    done.push(path);
    return result(path);
  };
  const all = [lane("b"), lane("v", { isBeside: true })];
  await runLanes(divide(["b/1", "b/2", "v/1"], all), { run, say() {} });
  assert.deepEqual(done, ["b/1", "b/2", "v/1"]);
  await runLanes(divide(["v/1"], all), { run, say() {} });
  assert.equal(done.length, 4);
});
