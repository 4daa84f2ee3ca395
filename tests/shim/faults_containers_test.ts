/**
 * Containers that misbehave: whatever they do, their exit is told of once, they can be deleted, and nothing is left.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { succeed, systemTest } from "../command.ts";
import { type BareShim, eventually, withBareShim } from "./bare_shim.ts";

const [SIGKILL, SIGTERM, SIGSTOP] = [9, 15, 19];
const programs = ["busybox"];
const shell = (script: string) => ["sh", "-c", script];

/** Milliseconds that something takes. */
async function timed(body: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await body();
  return performance.now() - begin;
}

/** Waits until a container has so many processes at least. */
async function hasProcesses(shim: BareShim, id: string, count: number): Promise<void> {
  const found = async () => (await shim.task.pids({ id })).processes.length;
  await eventually(() => `${id} has no ${count} processes`, async () => await found() >= count);
}

systemTest(
  "the shim ends containers that fork without end, ignore signals, stop or are paused",
  programs,
  () =>
    withBareShim(async (shim) => {
      const pids = { limit: 24 };
      await shim.run("bomb", {
        args: shell("sh -c 'while :; do sleep 1000 & done' 2>/dev/null & exec sleep 1000"),
        edit: (spec) => spec.linux.resources = { pids },
      });
      await hasProcesses(shim, "bomb", 20);
      await shim.kill("bomb", SIGTERM);
      assert.equal(await shim.remove("bomb"), 137);
      await shim.tells("bomb", ["create", "start", "exit 137", "delete 137"]);

      await shim.run("stopped", { args: ["sleep", "1000"] });
      await shim.kill("stopped", SIGSTOP);
      assert.equal(await shim.remove("stopped"), 137);

      await shim.run("paused", { args: ["sleep", "1000"] });
      await shim.task.pause({ id: "paused" });
      assert.equal(await shim.remove("paused"), 137);
      await shim.tells("paused", ["create", "start", "paused", "exit 137", "delete 137"]);
    }),
);

systemTest(
  "the shim kills what init leaves, and tells of execs before init",
  programs,
  () =>
    withBareShim(async (shim) => {
      const daemons = "(sleep 1000 &) ; (sh -c 'trap \"\" TERM; while :; do sleep 1; done' &); exit 4";
      await shim.run("shared", {
        args: shell(daemons),
        // Without a namespace of its own its children are not killed by the kernel.
        edit: (spec) => spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "pid"),
      });
      assert.equal(await shim.wait("shared"), 4);
      await shim.tells("shared", ["create", "start", "exit 4"]);
      assert.equal(await shim.delete("shared"), 4);

      await shim.run("own", { args: shell(`${daemons.replace("exit 4", "exec sleep 1000")}`) });
      await shim.exec("own", "e", ["sleep", "1000"]);
      await shim.kill("own", SIGKILL);
      assert.equal(await shim.wait("own", "e"), 137);
      assert.equal(await shim.wait("own"), 137);
      await assert.rejects(shim.exec("own", "late", ["true"]), /cannot exec in a stopped state/);
      await shim.delete("own", "e");
      await shim.delete("own");
      const told = shim.told("own");
      assert.deepEqual(told.filter((event) => event.startsWith("exit")), ["exit e 137", "exit 137"], `${told}`);
    }),
);

systemTest(
  "the shim tells of one lack of memory, and of the exit that it led to",
  programs,
  () =>
    withBareShim(async (shim) => {
      await shim.run("hungry", {
        args: ["tail", "/dev/zero"],
        edit: (spec) => spec.linux.resources = { memory: { limit: 16 << 20, swap: 16 << 20 } },
      });
      assert.equal(await shim.wait("hungry"), 137);
      await eventually(() => `${shim.told("hungry")}`, () => shim.told("hungry").includes("oom"));
      assert.equal(await shim.delete("hungry"), 137);
      await eventually(() => `${shim.told("hungry")}`, () => shim.told("hungry").includes("delete 137"));
      const told = shim.told("hungry").filter((event) => event === "oom" || event.startsWith("exit"));
      assert.deepEqual(told.toSorted(), ["exit 137", "oom"]);
    }),
);

systemTest(
  "the shim deletes a container whose output nobody reads, and one whose reader has left",
  programs,
  () =>
    withBareShim(async (shim) => {
      const { path } = shim.scratch;
      for (const name of ["unread", "left"]) await succeed(["mkfifo", `${path}/${name}`]);
      await shim.run("unread", { args: ["yes"], stdout: `${path}/unread` });
      await shim.run("left", { args: ["yes"], stdout: `${path}/left` });
      {
        using reader = await Deno.open(`${path}/left`);
        assert.equal(await reader.read(new Uint8Array(4096)), 4096);
      }
      assert.equal(await shim.task.state({ id: "left", execId: "" }).then(({ status }) => status), 2);
      // containerd's limit for what is still to be delivered is 10 s.
      const tookMs = await timed(() => Promise.all(["unread", "left"].map((id) => shim.remove(id))));
      assert(tookMs < 25_000, `deleting took ${tookMs} ms`);
      for (const id of ["unread", "left"]) await shim.tells(id, ["create", "start", "exit 137", "delete 137"]);
    }),
);

systemTest(
  "the shim keeps its word when execs, signals and deletions race the end of init",
  programs,
  () =>
    withBareShim(async (shim) => {
      for (let round = 0; round < 8; round++) {
        const id = `race${round}`;
        await shim.run(id, { args: ["sleep", "0.05"] });
        const started: string[] = [];
        const races = Array.from({ length: 6 }, async (_, index) => {
          await new Promise((resolve) => setTimeout(resolve, 15 * index));
          const execId = `e${index}`;
          await shim.exec(id, execId, ["sleep", "1000"]);
          started.push(execId);
        });
        const kills = Array.from({ length: 4 }, async (_, index) => {
          await new Promise((resolve) => setTimeout(resolve, 45 + 5 * index));
          await shim.kill(id, SIGKILL).catch((error) => assert(isFailure(error, "NotFound"), `${error}`));
        });
        await Promise.all([...kills, ...races.map((race) => race.catch(() => {}))]);
        const status = await shim.wait(id);
        assert([0, 137].includes(status), `${status}`);
        for (const execId of started) assert.equal(await shim.wait(id, execId), 137);
        // Whoever is second finds it being deleted, or gone.
        const answers = await Promise.allSettled([0, 1].map(() => shim.task.delete({ id, execId: "" })));
        assert(answers.some((answer) => answer.status === "fulfilled"));
        await eventually(() => `${shim.told(id)}`, () => shim.told(id).some((event) => event.startsWith("delete")));
        const told = shim.told(id);
        for (const execId of started) {
          const of = told.filter((event) => event.startsWith("exec-started ") || event.startsWith("exit"))
            .filter((event) => event.split(" ")[1] === execId);
          assert.deepEqual(of, [`exec-started ${execId}`, `exit ${execId} 137`], `${told}`);
        }
        const ends = told.filter((event) => /^(exit|delete) \d/.test(event));
        assert.deepEqual(ends, [`exit ${status}`, `delete ${status}`], `${told}`);
      }
    }),
);

systemTest(
  "the shim takes 30 execs at once, and a storm of containers from several clients",
  programs,
  () =>
    withBareShim(async (shim) => {
      await shim.run("base", { args: ["sleep", "1000"] });
      const codes = await Promise.all(Array.from({ length: 30 }, async (_, index) => {
        await shim.exec("base", `e${index}`, shell(`sleep 0.1; exit ${index}`));
        return [await shim.wait("base", `e${index}`), await shim.delete("base", `e${index}`)];
      }));
      assert.deepEqual(codes, Array.from({ length: 30 }, (_, index) => [index, index]));
      // Several want the same names: one of them gets each.
      let refused = 0;
      const client = async (number: number) => {
        for (let round = 0; round < 8; round++) {
          const id = `s${(number + round) % 6}`;
          try {
            await shim.create(id, { args: shell("exit 3") });
          } catch (error) {
            assert(isFailure(error, "AlreadyExists"), `${error}`);
            refused++;
            continue;
          }
          await shim.task.start({ id, execId: "" });
          assert.equal(await shim.wait(id), 3);
          await shim.task.delete({ id, execId: "" });
        }
      };
      await Promise.all([1, 2, 3, 4, 5].map(client));
      assert(refused < 40);
      assert.equal(await shim.remove("base"), 137);
      const count = (what: string) => shim.events.filter((event) => event.what === what).length;
      await eventually(() => JSON.stringify(shim.events.slice(-3)), () => count("delete") === count("create"));
      assert.equal(count("create"), 41 - refused);
      assert.equal(count("exit"), 71 - refused);
    }),
);
