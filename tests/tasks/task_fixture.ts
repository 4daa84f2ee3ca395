/**
 * Daemons with an image and a namespace of their own, for tests of tasks; and what tasks leave behind.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute, type ExecuteOptions, type Finished, Running, succeed } from "../command.ts";
import { type DaemonOptions, startDaemon, type TestDaemon } from "../daemon/daemon_fixture.ts";
import { writeBusyboxLayout } from "../images.ts";
import { makeScratch, type Scratch } from "../scratch.ts";
import { patientEnd } from "../patience.ts";

/** Name of the image that {@link startTaskBench} imports: busybox. */
export const image = "docker.io/library/busy:1";

/** A daemon that can run containers. */
export class TaskBench implements AsyncDisposable {
  constructor(
    public daemon: TestDaemon,
    /** Unique, as stock runc's states and cgroups are found by namespace and id only. */
    readonly namespace: string,
    readonly scratch: Scratch,
  ) {}

  /** The image as `docker load` and `ctr images import` read it. */
  get archive(): string {
    return `${this.scratch.path}/busy.tar`;
  }

  /** Runs ctr in the namespace. */
  async ctr(...args: readonly string[]): Promise<Finished> {
    return await this.ctrWith({}, ...args);
  }

  /** As {@link ctr}, with options. */
  async ctrWith(options: ExecuteOptions, ...args: readonly string[]): Promise<Finished> {
    return await this.daemon.ctrWith(options, "-n", this.namespace, ...args);
  }

  /** Starts ctr and does not wait for its end. */
  start(...args: readonly string[]): Running {
    return new Running(["ctr", "--address", this.daemon.address, "-n", this.namespace, ...args]);
  }

  /** Runs ctr, which must succeed; gives what it wrote. */
  async ask(...args: readonly string[]): Promise<string> {
    return await this.daemon.ask("-n", this.namespace, ...args);
  }

  /** Asks again until the answer matches. Throws after 10 s. */
  async until(expected: RegExp, ...args: readonly string[]): Promise<string> {
    for (const end = patientEnd(10_000);;) {
      const { stdout, stderr } = await this.ctr(...args);
      if (expected.test(stdout + stderr)) return stdout + stderr;
      assert(
        performance.now() < end,
        `ctr ${args.join(" ")}: want ${expected}, got ${stdout}${stderr}\n${this.daemon.log}`,
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Shims of the namespace, and what runs for them. Zombies have no words. */
  processes(): { pid: number; words: string[] }[] {
    return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name))
      .map(({ name }) => ({ pid: Number(name), words: wordsOf(name) }))
      .filter(({ words }) => words.includes("-namespace") && words.includes(this.namespace));
  }

  /**
   * Shims of the namespace that serve: those who start or clean up are left out. An installed shim is started by its launcher,
   * which waits while the other half of it becomes the server, with the same words.
   */
  servers(): number[] {
    return this.processes().filter(({ pid, words }) => {
      if (words.includes("delete")) return false;
      return words.includes("start") ? words[0]!.endsWith("/lib/barge/deno") && isDeno(pid) : true;
    }).map(({ pid }) => pid);
  }

  /** The process of a container's shim. */
  shimOf(id: string): number {
    const shim = this.processes().find(({ words }) => words.includes(id));
    assert(shim !== undefined, `no shim of ${id}`);
    return shim.pid;
  }

  /** Throws where a task has left something: processes, mounts, bundles, cgroups, states of the runtime. */
  async assertNothingLeft(): Promise<void> {
    const left: string[] = [];
    const look = async () => {
      left.length = 0;
      left.push(...this.processes().map(({ words }) => words.join(" ")));
      left.push(...this.scratch.mounts().filter((path) => path.startsWith(`${this.daemon.directory}/`)));
      for (const directory of [this.daemon.state, this.daemon.root]) {
        left.push(...await entries(`${directory}/io.containerd.runtime.v2.task/${this.namespace}`));
      }
      left.push(...await entries(`/run/containerd/runc/${this.namespace}`));
      // The namespace's own cgroup stays: runc removes those of containers only.
      left.push(...this.scratch.cgroups().filter((path) => !path.endsWith(`/${this.namespace}`)));
    };
    // A shim ends a little after it has answered.
    for (const end = patientEnd(5000); performance.now() < end;) {
      await look();
      if (left.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(left, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A test that failed half-way must not leave its containers to the next one.
    for (const { pid } of this.processes()) signalQuietly(pid, "SIGKILL");
    await this.daemon[Symbol.asyncDispose]();
    for (const id of await entries(`/run/containerd/runc/${this.namespace}`)) {
      const name = id.slice(id.lastIndexOf("/") + 1);
      await execute(["runc", "--root", `/run/containerd/runc/${this.namespace}`, "delete", "--force", name]);
    }
    await Deno.remove(`/run/containerd/runc/${this.namespace}`).catch(() => {});
    for (const path of this.scratch.cgroups()) await Deno.remove(path).catch(() => {});
    await this.scratch[Symbol.asyncDispose]();
  }
}

function isDeno(pid: number): boolean {
  try {
    return Deno.readLinkSync(`/proc/${pid}/exe`).endsWith("/deno");
  } catch {
    return false; // It has ended meanwhile.
  }
}

function wordsOf(pid: string): string[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0");
  } catch {
    // It has ended meanwhile.
    return [];
  }
}

function signalQuietly(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

async function entries(directory: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => `${directory}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Starts a daemon and gives it the image. Its directory stays over restarts, and goes with the bench. */
export async function startTaskBench(options: DaemonOptions = {}): Promise<TaskBench> {
  const scratch = await makeScratch();
  const layout = `${scratch.path}/layout`;
  await writeBusyboxLayout(layout, scratch);
  const archive = `${scratch.path}/busy.tar`;
  await succeed([
    "skopeo",
    "--insecure-policy",
    "copy",
    "--quiet",
    `oci:${layout}:latest`,
    `docker-archive:${archive}:${image}`,
  ]);
  const directory = await Deno.makeTempDir({ dir: scratch.path, prefix: "d" });
  const daemon = await startDaemon({ ...options, directory });
  const bench = new TaskBench(daemon, scratch.name, scratch);
  await bench.ask("images", "import", archive);
  return bench;
}
