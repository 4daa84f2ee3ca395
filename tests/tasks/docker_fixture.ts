/**
 * Debian's dockerd on the socket of a daemon under test.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute, type ExecuteOptions, type Finished, Running, succeed } from "../command.ts";
import { startTaskBench, type TaskBench } from "./task_fixture.ts";
import { patientEnd } from "../patience.ts";

/** How long Docker may take for what it does by itself. */
export const patienceMs = 15_000;

/**
 * Where the host's root shares no mounts, as in a mount namespace of its own, dockerd binds its data on themselves, and leaves that when
 * it ends.
 */
export async function unmountDockersData(directory: string): Promise<void> {
  await execute(["umount", directory]);
}

/** A dockerd of its own. */
export class Docker implements AsyncDisposable {
  readonly directory: string;
  #daemon: Running | undefined;

  constructor(readonly bench: TaskBench) {
    this.directory = `${bench.scratch.path}/docker`;
  }

  /** Its socket. */
  get host(): string {
    return `unix://${this.directory}/docker.sock`;
  }

  /** Starts it, and waits until it answers. */
  async start(): Promise<void> {
    await Deno.mkdir(this.directory, { recursive: true });
    const { directory } = this;
    this.#daemon = new Running([
      ...["dockerd", "--containerd", this.bench.daemon.address, "--containerd-namespace", this.bench.namespace],
      ...["--containerd-plugins-namespace", `${this.bench.namespace}-plugins`],
      ...["--data-root", `${directory}/data`, "--exec-root", `${directory}/exec`, "--pidfile", `${directory}/pid`],
      ...["--host", this.host, "--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"],
      ...["--live-restore", "--shutdown-timeout=5"],
    ], { timeoutMs: 180_000 });
    for (const end = patientEnd(patienceMs); (await this.run("version")).code !== 0;) {
      assert(performance.now() < end, "dockerd does not start");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Ends it, and waits for the end. */
  async stop(): Promise<void> {
    this.#daemon?.kill("SIGTERM");
    await this.#daemon?.finished;
    this.#daemon = undefined;
  }

  /** Runs docker to its end. */
  async run(...args: readonly string[]): Promise<Finished> {
    return await this.runWith({}, ...args);
  }

  /** As {@link run}, with options. */
  async runWith(options: ExecuteOptions, ...args: readonly string[]): Promise<Finished> {
    return await execute(["docker", "--host", this.host, ...args], { timeoutMs: 30_000, ...options });
  }

  /** Runs docker, which must succeed; gives what it wrote. */
  async ask(...args: readonly string[]): Promise<string> {
    return await succeed(["docker", "--host", this.host, ...args], { timeoutMs: 30_000 });
  }

  /** Asks until the answer is that. Throws after some seconds. */
  async until(expected: string, ...args: readonly string[]): Promise<void> {
    for (const end = patientEnd(patienceMs);;) {
      const answer = (await this.ask(...args)).trim();
      if (answer === expected) return;
      assert(performance.now() < end, `docker ${args.join(" ")}: want ${expected}, got ${answer}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    await unmountDockersData(`${this.directory}/data`);
  }
}

/** Runs a test with a dockerd on a daemon with the image; afterwards no task may have left anything. */
export async function withDocker(
  body: (docker: Docker) => Promise<void>,
  start: () => Promise<TaskBench> = startTaskBench,
): Promise<void> {
  await using bench = await start();
  {
    await using docker = new Docker(bench);
    await docker.start();
    await docker.ask("load", "--input", bench.archive);
    await body(docker);
    await docker.stop();
  }
  await bench.assertNothingLeft();
}
