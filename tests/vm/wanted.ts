/**
 * Which of the tests in virtual machines run.
 *
 * @module
 */
import type { Case } from "./case.ts";
import type { Machine } from "./machine.ts";

/** No case begins when less than this is left: the slowest takes half a minute where the machine is not shared. */
const leftMsMin = 420_000;

/**
 * Why no case can be begun any more; undefined where one can. `deno task test` says when it will end the tests, and when all
 * others are done: these are to take no time of their own.
 */
function lateReason(): string | undefined {
  const ends = Number(Deno.env.get("BARGE_TEST_ENDS") ?? Infinity);
  if (ends - Date.now() < leftMsMin) return "this machine is slow, and the tests' time over; deno task test:vm";
  return isThere(Deno.env.get("BARGE_TEST_HURRY")) ? "all other tests are done; deno task test:vm" : undefined;
}

function isThere(path: string | undefined): boolean {
  try {
    return path !== undefined && Deno.statSync(path).isFile;
  } catch {
    return false; // It is not to be seen, so nobody has asked.
  }
}

const asked = Deno.env.get("BARGE_VM") ?? "all";

/** Why all are left out; undefined where they are not. `BARGE_VM=none` asks for that. */
export function notWanted(): string | undefined {
  return asked === "none" ? "BARGE_VM=none" : lateReason();
}

/** Runs the cases whose names have the word `BARGE_VM` in them (default: all) as steps of a test. */
export async function runCases(test: Deno.TestContext, machine: Machine, cases: readonly Case[]): Promise<void> {
  const word = asked === "all" ? "" : asked;
  for (const { name, run } of cases.filter((one) => one.name.includes(word))) {
    const late = lateReason();
    await test.step({
      name: late === undefined ? name : `${name} [ignored: ${late}]`,
      ignore: late !== undefined,
      fn: async () => await run(machine),
    });
  }
}
