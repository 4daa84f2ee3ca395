/**
 * A daemon with a shim that runs containers of busybox, driven by stock `ctr`.
 *
 * @module
 */
import { type Side } from "../daemon/sides.ts";
import { outputOf, timeOf } from "../measure.ts";

/** Which daemon runs containers by which shim. */
export class TaskSide {
  #count = 0;
  readonly #running: string[] = [];
  #execs = 0;

  constructor(private readonly side: Side, private readonly runtime: string, private readonly image: string) {}

  #ctr(...args: string[]): string[] {
    return ["ctr", "--address", this.side.address, ...args];
  }

  #name(): string {
    return `bench-${this.#count++}`;
  }

  /** Fetches the image. */
  async pull(): Promise<void> {
    await outputOf(this.#ctr("images", "pull", "--plain-http", this.image));
  }

  /** `ctr run --rm` of a program that ends at once, in milliseconds. */
  run(): Promise<number> {
    return timeOf(this.#ctr("run", "--rm", "--runtime", this.runtime, this.image, this.#name(), "true"));
  }

  /** Makes a container of a program that ends at once, and does not start it; gives its name. */
  async create(): Promise<string> {
    const name = "model";
    await outputOf(this.#ctr("containers", "create", "--runtime", this.runtime, this.image, name, "true"));
    return name;
  }

  /** As {@link run}, in a namespace that had no container yet: a shim may have to be started first. */
  async runInNewNamespace(): Promise<number> {
    const namespace = this.#name();
    const inNamespace = (...args: string[]): string[] => this.#ctr("--namespace", namespace, ...args);
    await outputOf(inNamespace("images", "pull", "--plain-http", this.image));
    return await timeOf(inNamespace("run", "--rm", "--runtime", this.runtime, this.image, this.#name(), "true"));
  }

  /** As {@link runMany}; they are removed afterwards, which is not counted. */
  async runManyAndClear(count: number): Promise<number> {
    const timeMs = await this.runMany(count);
    await this.clear();
    return timeMs;
  }

  /** Starts so many containers at once that go on; milliseconds for all. */
  async runMany(count: number): Promise<number> {
    const names = Array.from({ length: count }, () => this.#name());
    const begin = performance.now();
    const run = (name: string) =>
      outputOf(
        this.#ctr("run", "-d", "--null-io", "--runtime", this.runtime, this.image, name, "sh", "-c", "sleep 10000"),
      );
    await Promise.all(names.map(run));
    this.#running.push(...names);
    return performance.now() - begin;
  }

  /** Name of a container that {@link runMany} has started. */
  get running(): string {
    return this.#running[0]!;
  }

  /** A program in a container that runs, in milliseconds. */
  exec(): Promise<number> {
    return timeOf(this.#ctr("tasks", "exec", "--exec-id", `e${this.#execs++}`, this.running, "true"));
  }

  /** Proportional share of memory of the daemon and of its shims, in MB. */
  memoryMb(): number {
    return [this.side.process.pid, ...this.#shims()].reduce((sum, pid) => sum + pssMb(pid), 0);
  }

  /** A shim knows its daemon by this variable; what it runs does not get it. */
  #shims(): number[] {
    const mark = `TTRPC_ADDRESS=${this.side.address}.ttrpc`;
    const pids = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => pid > 0);
    return pids.filter((pid) => {
      try {
        return Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0").includes(mark);
      } catch {
        return false;
      }
    });
  }

  /** Ends and removes what {@link runMany} has started. */
  async clear(): Promise<void> {
    for (const name of this.#running.splice(0)) {
      await outputOf(this.#ctr("tasks", "delete", "--force", name));
      await outputOf(this.#ctr("containers", "rm", name));
    }
  }
}

function pssMb(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  return Number(/^Pss:\s*(\d+) kB$/m.exec(text)?.[1] ?? NaN) / 1024;
}
