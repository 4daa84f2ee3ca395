/**
 * The runtime and its containers' first processes, killed before every step of create, start, run, exec, kill and
 * delete: afterwards `delete --force` removes all, nothing of the user's has run that should not, and the id is free.
 *
 * A selection is killed, by a seed that is printed; all of them with `BARGE_KILL_ALL=1`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Case, type Place } from "./case.ts";
import { barge, execute, systemTest } from "../command.ts";
import { makeScratch, randomNumbers, type Scratch } from "../scratch.ts";
import { childCalls, killBefore, type KillStep, killStepsOf, runtimeCalls, type Traced } from "./kill_steps.ts";
import { makePlace } from "./perform.ts";
import { makeSuite } from "./suite.ts";

/** How many steps of each command are killed. */
const selected = 6;

const all = Deno.env.get("BARGE_KILL_ALL") === "1";

/** A command to be killed. */
interface Killed {
  /** Words of the command; ID and DIR are as in cases. */
  readonly words: readonly string[];
  /** Commands that make the state in which it is called. */
  readonly before: readonly (readonly string[])[];
  /** Whether the container must be as it was, so that it can be used for the next step. */
  readonly keeps?: boolean;
  /** Whether the user's command may have run. */
  readonly mayRun: boolean;
  /** A container that needs more of the runtime, and what it is called. */
  readonly more?: { readonly name: string; readonly change: NonNullable<Case["change"]> };
}

const sleeping = ["run", "--detach", "--bundle", "DIR", "ID"];
const created = ["create", "--bundle", "DIR", "ID"];

const commands: readonly Killed[] = [
  { words: created, before: [], mayRun: false },
  {
    words: created,
    before: [],
    mayRun: false,
    more: {
      name: "with hooks and a copy",
      change: (spec) => {
        const hook = { path: "/bin/true", args: ["true"] };
        spec.hooks = { createRuntime: [hook], createContainer: [hook], poststop: [hook] };
        spec.mounts.push({ destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] });
      },
    },
  },
  { words: ["start", "ID"], before: [created], mayRun: true },
  { words: sleeping, before: [], mayRun: true },
  { words: ["exec", "--detach", "ID", "true"], before: [sleeping], keeps: true, mayRun: true },
  { words: ["kill", "ID", "KILL"], before: [sleeping], mayRun: true },
  { words: ["delete", "--force", "ID"], before: [sleeping], mayRun: true },
  { words: ["delete", "ID"], before: [created], mayRun: false },
];

/** A container's place, and the runtime there. */
class Victim {
  constructor(readonly runtime: readonly string[], readonly place: Place, readonly scratch: Scratch) {}

  /** The words of a command line. */
  command(words: readonly string[]): string[] {
    const fill = (word: string) => word === "ID" ? this.place.id : word === "DIR" ? this.place.directory : word;
    return [...this.runtime, "--root", this.place.states, ...words.map(fill)];
  }

  /** Performs a command that must succeed. */
  async succeed(words: readonly string[]): Promise<void> {
    const script = 'exec "$@" </dev/null >/dev/null 2>"$0"';
    const errors = `${this.place.directory}/errors`;
    const { code } = await execute(["sh", "-c", script, errors, ...this.command(words)]);
    assert.equal(code, 0, `${words.join(" ")}: ${await Deno.readTextFile(errors)}`);
  }

  /** What `delete --force` must make of whatever there is. */
  async assertCleanable(context: string, mayRun: boolean): Promise<void> {
    await this.succeed(["delete", "--force", "ID"]);
    await this.scratch.assertNothingLeft(context);
    assert.deepEqual([...Deno.readDirSync(this.place.states)], [], context);
    const ran = `${this.place.rootfs}/ran`;
    if (!mayRun) assert(!exists(ran), `${context}: the command ran`);
    if (exists(ran)) Deno.removeSync(ran);
  }

  /** That the id can be used again. */
  async assertFree(): Promise<void> {
    await this.succeed(created);
    await this.succeed(["delete", "ID"]);
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Makes a bundle whose command leaves a mark when it runs. */
async function makeVictim(scratch: Scratch, script: string, change?: Case["change"]): Promise<Victim> {
  const runtime = [...barge, "oci"];
  const suite = await makeSuite(scratch, { name: "barge", command: runtime });
  const one: Case = {
    name: "killed",
    steps: [],
    change: (spec, place) => {
      spec.process.args = ["sh", "-c", script];
      change?.(spec, place);
    },
  };
  return new Victim(runtime, await makePlace(suite, one, 0), scratch);
}

/** Some of the steps, or all of them. */
function choose(steps: readonly KillStep[], random: () => number): readonly KillStep[] {
  if (all || steps.length <= selected) return steps;
  // One of each part, for neighbours are alike.
  return Array.from({ length: selected }, (_, part) => {
    const [from, to] = [part, part + 1].map((border) => Math.floor(border * steps.length / selected));
    return steps[from! + Math.floor(random() * (to! - from!))]!;
  });
}

const needs = ["busybox", "strace"];

/** Declares a test for each command, and one for a container's first process. */
export function declareKillTests(): void {
  for (const command of commands) declareKilled(command);
  declareKilledInit();
}

function declareKilled({ words, before, keeps, mayRun, more }: Killed): void {
  const plain = words.filter((word) => !/^(ID|DIR|--bundle)$/.test(word)).join(" ");
  const name = more === undefined ? plain : `${plain} ${more.name}`;
  systemTest(`barge oci ${name}, killed before its steps, leaves what delete --force removes`, needs, async () => {
    const random = randomNumbers(`kill ${name}`);
    await using scratch = await makeScratch();
    const victim = await makeVictim(scratch, "echo ran > /ran; exec sleep 100", more?.change);
    const traced: Traced = { output: `${scratch.path}/trace`, follow: false };
    const command = victim.command(words);
    for (const first of before) await victim.succeed(first);
    const steps = await killStepsOf(command, runtimeCalls, victim.place.id, traced);
    await victim.succeed(["delete", "--force", "ID"]);
    let reached = 0;
    const chosen = choose(steps, random);
    for (const [index, step] of chosen.entries()) {
      const prepares = keeps !== true || index === 0;
      for (const first of prepares ? before : []) await victim.succeed(first);
      const { code } = await killBefore(command, step, traced);
      if (code === 137) reached++;
      const context = `${name} killed before ${step.call} ${step.number}`;
      // The container that it was called for goes on.
      if (keeps) await victim.succeed(["exec", "ID", "true"]);
      else await victim.assertCleanable(context, mayRun);
    }
    if (keeps) await victim.assertCleanable(name, mayRun);
    await victim.assertFree();
    console.log(`${name}: ${reached} of ${chosen.length} chosen among ${steps.length} steps`);
    // Which calls Deno makes for itself differs a little from run to run; but some are always there.
    assert(reached > 0, `none of ${chosen.length} steps was reached`);
  });
}

function declareKilledInit(): void {
  systemTest("a container's first process, killed before its steps, is no container", needs, async () => {
    const random = randomNumbers("kill init");
    await using scratch = await makeScratch();
    const victim = await makeVictim(scratch, "echo ran > /ran");
    const traced: Traced = { output: `${scratch.path}/trace`, follow: true };
    const command = victim.command(["run", "--bundle", "DIR", "ID"]);
    const steps = await killStepsOf(command, childCalls, "close_range", traced);
    Deno.removeSync(`${victim.place.rootfs}/ran`);
    const chosen = choose(steps, random);
    for (const step of chosen) {
      const { code } = await killBefore(command, step, traced);
      const context = `init killed before ${step.call} ${step.number}`;
      const ran = exists(`${victim.place.rootfs}/ran`);
      // A step that was not reached is none; but a command that ran has ended well.
      assert.equal(code === 0, ran, `${context}: code ${code}`);
      if (ran) Deno.removeSync(`${victim.place.rootfs}/ran`);
      await scratch.assertNothingLeft(context);
      assert.deepEqual([...Deno.readDirSync(victim.place.states)], [], context);
    }
    console.log(`init: ${chosen.length} chosen among ${steps.length} steps`);
    await victim.assertFree();
  });
}
