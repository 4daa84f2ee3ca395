/**
 * The shim is killed before a step of a container's life: what is left can be cleaned up, by `delete` and by a `delete`
 * after a killed `delete`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DeleteResponse } from "../../api/gen/runtime/task/v2/shim.ts";
import { isFailure } from "../../api/errors.ts";
import { barge, systemTest } from "../command.ts";
import { makeScratch, randomNumbers, type Scratch } from "../scratch.ts";
import { type BareShim } from "./bare_shim.ts";
import { chosenSteps, faulty, names, perform, startFaulty, stepsOf } from "./faulty_shim.ts";

const chosen = 14;

/** Asks the program to clean up after a shim, as daemons do; gives how the container ended. */
async function clean(scratch: Scratch, bundle: string, env: Record<string, string> = {}): Promise<DeleteResponse> {
  const command = "BARGE_FAULT" in env ? faulty : barge;
  const words = ["shim", "-namespace", scratch.name, "-id", names.container, "-address", "/none", "-bundle", bundle];
  const { code, stdout, stderr } = await new Deno.Command(command[0]!, {
    args: [...command.slice(1), ...words, "delete"],
    cwd: bundle,
    env,
    stdin: "null",
  }).output();
  if ("BARGE_FAULT" in env && code !== 0) return DeleteResponse.create();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return DeleteResponse.decode(stdout);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Cleans up twice, the first time with a program that may be killed as well. Gives the exit status. */
async function cleanUp(shim: BareShim, at: number): Promise<number | undefined> {
  const { scratch } = shim;
  const bundle = shim.bundle(names.container);
  if (!await exists(bundle)) return undefined;
  const begin = `${scratch.path}/begin`;
  await clean(scratch, bundle, { BARGE_FAULT: `kill@${1 + at % 12}`, BARGE_FAULT_BEGIN: begin });
  const { exitStatus } = await clean(scratch, bundle);
  await Deno.remove(bundle, { recursive: true });
  return exitStatus;
}

systemTest(
  "a shim that is killed before a step of create, start, exec, kill or delete leaves nothing that cannot be cleaned up",
  ["busybox"],
  async () => {
    const random = randomNumbers("kill the shim before a step");
    const steps = await stepsOf("kill");
    assert(steps.length > 60, `${steps.length} steps`);
    for (const at of chosenSteps(steps.length, chosen, random)) {
      try {
        await using scratch = await makeScratch();
        {
          await using shim = await startFaulty(scratch, "kill", at);
          // A later run may be a step or two shorter.
          await perform(shim).catch((error) => {
            if (!isFailure(error, "Unavailable")) throw error;
          });
          if (!shim.hasEnded) shim.signal("SIGKILL");
          await shim.status;
          const status = await cleanUp(shim, at);
          const told = shim.told(names.container).filter((event) => /^exit \d/.test(event));
          assert(told.length <= 1, `told ${told}`);
          assert(status === undefined || status === 137, `the container ended with ${status}`);
        }
        for (const path of scratch.cgroups().filter((each) => each.endsWith(`/${scratch.name}`))) Deno.removeSync(path);
        await scratch.assertNothingLeft();
      } catch (error) {
        throw new Error(`killed before step ${at} of ${steps.length}, ${steps[at - 1]}`, { cause: error });
      }
    }
  },
);
