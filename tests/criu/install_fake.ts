/**
 * Puts the fake criu where a runtime finds it.
 *
 * @module
 */
import { sourceRoot } from "../command.ts";
import type { FakePlan, FakeRequest } from "./fake_criu.ts";

/** One that was put somewhere. */
export interface FakeCriu {
  /** Its directory, for PATH. */
  readonly directory: string;
  readonly program: string;
  /** What it was asked until now. */
  requests(): Promise<FakeRequest[]>;
}

/** A fake criu in the test's directory; gives what was asked of it. */
export async function fakeCriu(scratch: { readonly path: string }, plan: FakePlan): Promise<FakeCriu> {
  const directory = await Deno.makeTempDir({ dir: scratch.path });
  await Deno.writeTextFile(`${directory}/plan.json`, JSON.stringify(plan));
  const words = [Deno.execPath(), "run", "-A", "--no-lock", "--quiet", `${sourceRoot}/tests/criu/fake_criu.ts`];
  const script = `#!/bin/sh\nexec ${words.map((word) => `'${word}'`).join(" ")} '${directory}' "$@"\n`;
  await Deno.writeTextFile(`${directory}/criu`, script, { mode: 0o755 });
  const requests = async (): Promise<FakeRequest[]> => {
    const text = await Deno.readTextFile(`${directory}/requests.jsonl`);
    // Written by the fake.
    return text.trimEnd().split("\n").map((line) => JSON.parse(line) as FakeRequest);
  };
  return { directory, program: `${directory}/criu`, requests };
}
