/**
 * Daemons that find barge's own shim, as it is installed, in their PATH.
 *
 * @module
 */
import type { DaemonOptions } from "../daemon/daemon_fixture.ts";
import { linkShims } from "../installed.ts";
import { startTaskBench, TaskBench } from "./task_fixture.ts";

/** The runtime's name. */
export const ownRuntime = "io.containerd.ts.v2";

/** A daemon with the shim; its programs go with it. */
export class OwnShimBench extends TaskBench {
  readonly #programs: string;

  /** Takes the bench over. */
  constructor({ daemon, namespace, scratch }: TaskBench, programs: string) {
    super(daemon, namespace, scratch);
    this.#programs = programs;
  }

  /** Shims that serve, in the place of `start`. */
  shims(): number[] {
    return this.servers();
  }

  /** Ends shims without containers, which would wait for further ones, and throws where a task has left something. */
  override async assertNothingLeft(): Promise<void> {
    for (const pid of this.shims()) {
      try {
        Deno.kill(pid, "SIGTERM");
      } catch {
        // It has ended meanwhile.
      }
    }
    await super.assertNothingLeft();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await Deno.remove(this.#programs, { recursive: true });
  }
}

/** What the shim is called by. Docker up to 20.10 knows the second name only. */
const names = ["containerd-shim-ts-v2", "containerd-shim-runc-v2"];

/** Starts one. `command` starts barge in the place of what is installed; the word `shim` follows. */
export async function startOwnShimBench(
  options: DaemonOptions = {},
  command?: readonly string[],
): Promise<OwnShimBench> {
  const programs = await Deno.makeTempDir({ prefix: "barge-shim-" });
  if (command === undefined) {
    await linkShims(programs, names);
  } else {
    const words = [...command, "shim"].map((word) => `'${word}'`).join(" ");
    for (const name of names) {
      await Deno.writeTextFile(`${programs}/${name}`, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
    }
  }
  const env = { ...options.env, PATH: `${programs}:${Deno.env.get("PATH")}` };
  return new OwnShimBench(await startTaskBench({ ...options, env }), programs);
}
