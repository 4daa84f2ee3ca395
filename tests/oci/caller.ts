/**
 * The programs of others that call an OCI runtime, each with directories of its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { makeRootfs } from "../bundle.ts";
import { barge, execute, type ExecuteOptions, type Finished, Running, succeed, systemTest } from "../command.ts";
import { makeScratch, type Scratch } from "../scratch.ts";
import { patientEnd } from "../patience.ts";

/** How long a daemon may take to answer. */
const startMsMax = 20_000;

/** One caller under test. */
export interface Caller {
  readonly scratch: Scratch;
  /** A program that is called like runc: barge's or runc's command line, with a root of states below the scratch. */
  readonly runtime: string;
  /** A root file system with busybox. */
  readonly rootfs: string;
}

/**
 * A test of a caller, once with barge as its runtime and once with runc: what runc fails is a wrong test. Afterwards
 * nothing of it may be left.
 */
export function callerTest(name: string, programs: readonly string[], body: (caller: Caller) => Promise<void>): void {
  for (const runtimeName of ["barge", "runc"] as const) {
    systemTest(`${name} (${runtimeName})`, ["busybox", "runc", "tar", ...programs], async () => {
      await using scratch = await makeScratch();
      const rootfs = `${scratch.path}/rootfs`;
      await makeRootfs(rootfs);
      await body({ scratch, rootfs, runtime: await writeRuntime(scratch, runtimeName) });
      await scratch.assertNothingLeft();
    });
  }
}

/** Callers want one path of a program. It names no directory of ours on the command lines of its containers. */
async function writeRuntime(scratch: Scratch, name: "barge" | "runc"): Promise<string> {
  const path = `${scratch.path}/runtime-${name}`;
  // Podman names no root; where a caller does, the later one counts.
  const words = [...name === "barge" ? [...barge, "oci"] : ["runc"], "--root", `${scratch.path}/states`];
  const quoted = words.map((word) => `'${word}'`).join(" ");
  await Deno.writeTextFile(path, `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  return path;
}

/** The root file system as an archive. */
export async function archiveOf({ scratch, rootfs }: Caller): Promise<string> {
  const path = `${scratch.path}/rootfs.tar`;
  await succeed(["tar", "-C", rootfs, "-cf", path, "."]);
  return path;
}

/** A daemon with a client, ended by its own signal. */
export class Served implements AsyncDisposable {
  readonly #daemon: Running;

  /** @param client words of the client's command line, with the daemon's address */
  constructor(daemon: readonly string[], readonly client: readonly string[]) {
    this.#daemon = new Running(daemon, { timeoutMs: 180_000 });
  }

  /** Waits until the client's command succeeds. */
  async answers(...args: string[]): Promise<void> {
    for (const end = patientEnd(startMsMax); (await this.run(...args)).code !== 0;) {
      assert(performance.now() < end, `${this.client[0]} gets no answer`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Waits until the client's command prints the text. */
  async until(text: string, ...args: string[]): Promise<void> {
    for (const end = patientEnd(startMsMax); (await this.run(...args)).stdout !== text;) {
      assert(performance.now() < end, `${args.join(" ")} does not come to ${JSON.stringify(text)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Runs a command of the client to its end. */
  async run(...args: string[]): Promise<Finished> {
    return await execute([...this.client, ...args]);
  }

  /** Runs a command of the client that must succeed. */
  async ask(...args: string[]): Promise<string> {
    return await this.askWith({}, ...args);
  }

  /** The same with options. */
  async askWith(options: ExecuteOptions, ...args: string[]): Promise<string> {
    return await succeed([...this.client, ...args], options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#daemon.kill("SIGTERM");
    await this.#daemon.finished.catch(() => {});
  }
}
