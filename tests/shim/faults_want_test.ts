/**
 * The shim has no descriptor, memory or disk left at one step of a container's life: that call fails, what it began is
 * undone, and the shim goes on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { makeScratch, randomNumbers } from "../scratch.ts";
import { type BareShim, eventually } from "./bare_shim.ts";
import { chosenSteps, names, perform, startFaulty, stepsOf } from "./faulty_shim.ts";

const chosen = 14;

/** Removes what the script has left, as a client does whose call has failed. */
async function removeAll(shim: BareShim): Promise<void> {
  const { container, exec } = names;
  const isThere = await shim.task.state({ id: container, execId: "" }).then(() => true, () => false);
  if (!isThere) return;
  await shim.kill(container, 9).catch(() => {});
  // One that was never started is killed by its deletion.
  const { status } = await shim.task.state({ id: container, execId: "" });
  if (status !== 1) await shim.wait(container);
  await shim.task.delete({ id: container, execId: exec }).catch(() => {});
  await shim.delete(container);
}

const countOf = (shim: BareShim, kind: string) => shim.descriptors().get(kind) ?? 0;

systemTest(
  "a shim that lacks descriptors, memory or disk at a step fails that call, keeps nothing of it, and goes on",
  ["busybox"],
  async () => {
    const random = randomNumbers("fail a step of the shim");
    const steps = await stepsOf("fail");
    assert(steps.length > 60, `${steps.length} steps`);
    for (const at of chosenSteps(steps.length, chosen, random)) {
      try {
        await using scratch = await makeScratch();
        {
          await using shim = await startFaulty(scratch, "fail", at);
          const before = shim.descriptors();
          const outcome = await perform(shim).then(() => "well", (error) => `${error}`);
          // A run may be a step or two shorter; what comes now is to go well.
          await Deno.remove(`${scratch.path}/begin`);
          assert(!shim.hasEnded, `the shim has ended: ${outcome}`);
          await removeAll(shim);
          const told = shim.told(names.container);
          await shim.run("next", { args: ["sh", "-c", "exit 5"] });
          assert.equal(await shim.wait("next"), 5, outcome);
          await shim.delete("next");
          await shim.tells("next", ["create", "start", "exit 5", "delete 5"]);
          const created = told.includes("create") ? 1 : 0;
          assert.equal(told.filter((event) => /^exit \d/.test(event)).length, created, `${outcome}: ${told}`);
          assert.equal(told.filter((event) => /^exit e/.test(event)).length <= 1, true, `${outcome}: ${told}`);
          // Deno's own come and go; these are of streams and of processes.
          const kept = () =>
            ["pipe:", "anon_inode:[pidfd]"].filter((kind) => countOf(shim, kind) > (before.get(kind) ?? 0));
          await eventually(() => `${outcome}: ${kept()} of ${[...shim.descriptors()]}`, () => kept().length === 0);
          await shim.end();
        }
        for (const path of scratch.cgroups().filter((each) => each.endsWith(`/${scratch.name}`))) Deno.removeSync(path);
        await scratch.assertNothingLeft();
      } catch (error) {
        throw new Error(`failed step ${at} of ${steps.length}, ${steps[at - 1]}`, { cause: error });
      }
    }
  },
);
