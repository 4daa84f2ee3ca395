/**
 * Performs mounts that the kernel alone cannot, and keeps them under a name until nobody wants them any more.
 *
 * @module
 */
import { untilAborted } from "../../api/abort.ts";
import { Failure, isFailure, messageOf } from "../../api/errors.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { JobWorker, workerUrl } from "../diff/job_worker.ts";
import { WorkerPool } from "../diff/worker_pool.ts";
import type { Activation, ActiveMount, MountHandler } from "./activation.ts";
import { ActivationFiles } from "./activation_files.ts";
import type { MountJob } from "./mount_job.ts";
import type { MountPart } from "./perform.ts";
import { type ActivationPlan, planActivation } from "./plan.ts";
import { prepare } from "./prepare.ts";
import { transform } from "./transform.ts";

/** Options of {@link MountManager.open}. */
export interface MountManagerOptions {
  /** Its own, in the state directory; made where it is missing. */
  readonly directory: string;
  /** Absolute paths below which `mkdir/` and `mkfs/` may make something, besides its own: those of snapshotters. */
  readonly roots: readonly string[];
  /** By the types of mounts that they perform. Default: none. */
  readonly handlers?: ReadonlyMap<string, MountHandler>;
}

/** Options of {@link MountManager.activate}. */
export interface ActivateOptions {
  readonly labels: Readonly<Record<string, string>>;
  /** Whether everything is mounted here, and the client gets a bind mount of the last one. */
  readonly temporary: boolean;
  readonly lease?: string | undefined;
}

/** Mounting waits for disks rather than processors; a few at once keep one that hangs from stopping all. */
const workersMax = 4;
/** Undoing goes on after its caller has left, but not for ever. */
const undoMsMax = 30_000;
/** What is under way when the daemon ends has this long to end, or to be undone; the next start sees to the rest. */
const closeMsMax = 5_000;

const keyOf = (namespace: string, name: string) => `${namespace}/${name}`;

/**
 * See the module's comment. An activation is recorded before its first mount and marked complete after its last one;
 * what is not complete, or not recorded, is undone when the manager is opened.
 */
export class MountManager implements Disposable, AsyncDisposable {
  readonly #options: MountManagerOptions;
  readonly #files: ActivationFiles;
  readonly #activations = new Map<string, Activation>();
  /** Names that something is being done with: whoever comes later waits. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #workers = new WorkerPool(
    () => new JobWorker<MountJob, void>(workerUrl(import.meta.url, "mount_worker_main"), "mount"),
    { size: workersMax },
  );
  readonly #closing = new AbortController();
  #lastId = 0;

  private constructor(options: MountManagerOptions) {
    this.#options = options;
    this.#files = new ActivationFiles(options.directory);
  }

  /** Reads what an earlier daemon has mounted, and undoes what it did not finish. `warn` hears what could not be undone. */
  static async open(options: MountManagerOptions, warn: (sentence: string) => void): Promise<MountManager> {
    const manager = new MountManager(options);
    const mounted = mountPointsNow();
    for (const [id, activation] of manager.#files.read()) {
      manager.#lastId = Math.max(manager.#lastId, id);
      // A handler's mount need not be one of the kernel's.
      const stands = activation?.complete === true &&
        activation.mountPoints.every((point, index) => activation.handled[index] !== "" || mounted.has(point));
      if (activation !== undefined && stands) {
        manager.#activations.set(keyOf(activation.namespace, activation.name), activation);
        continue;
      }
      try {
        await manager.#undo(id, activation ?? manager.#unrecorded(id));
      } catch (error) {
        warn(`clean up mounts in "${manager.#files.targetDirectory(id)}": ${messageOf(error)}`);
      }
    }
    return manager;
  }

  #unrecorded(id: number): Pick<Activation, "mountPoints" | "handled"> {
    const directory = this.#files.targetDirectory(id);
    const mountPoints = [...Deno.readDirSync(directory)].map(({ name }) => `${directory}/${name}`).sort().reverse();
    return { mountPoints, handled: mountPoints.map(() => "") };
  }

  /**
   * Performs those of the mounts that need it, and keeps them under the name. Rejects with `NotImplemented` where none
   * does (the client mounts as usual then), `AlreadyExists`, `InvalidArgument`, and what mounting met; nothing stays
   * mounted then, nor when the signal is aborted.
   */
  async activate(
    namespace: string,
    name: string,
    mounts: readonly MountPart[],
    options: ActivateOptions,
    caller: AbortSignal,
  ): Promise<Activation> {
    if (name === "") throw new Failure("InvalidArgument", "mount name must not be empty");
    const plan = planActivation(mounts, options.temporary, this.#options.handlers ?? new Map());
    if (plan === undefined) throw new Failure("NotImplemented", "not implemented");
    const key = keyOf(namespace, name);
    return await this.#alone(key, AbortSignal.any([caller, this.#closing.signal]), async (signal) => {
      if (this.#activations.has(key)) throw new Failure("AlreadyExists", `mount "${name}"`);
      const { labels, lease } = options;
      const begun = this.#begin({ namespace, name, labels, ...(lease === undefined ? {} : { lease }) }, plan);
      try {
        const finished = await this.#mountAll(begun, mounts, plan, options.temporary, signal);
        this.#files.write(finished);
        this.#activations.set(key, finished);
        return finished;
      } catch (error) {
        await this.#undo(begun.id, begun).catch((failure) => {
          // What could not be undone is left to the next start, which has the record.
          throw new SuppressedError(failure, error);
        });
        throw error;
      }
    });
  }

  #begin(
    head: Pick<Activation, "namespace" | "name" | "labels" | "lease">,
    { count, handled }: ActivationPlan,
  ): Activation {
    const id = ++this.#lastId;
    const directory = this.#files.targetDirectory(id);
    // Counted down, so that whoever cleans up in the order of the names undoes the last mount first.
    const width = String(count).length;
    const mountPoints = handled.map((_, index) => `${directory}/${String(count - index).padStart(width, "0")}`);
    const begun = { ...head, id, active: [], system: [], mountPoints, handled, complete: false };
    this.#files.write(begun);
    return begun;
  }

  async #mountAll(
    begun: Activation,
    mounts: readonly MountPart[],
    { count, transformed }: ActivationPlan,
    temporary: boolean,
    signal: AbortSignal,
  ): Promise<Activation> {
    const active: ActiveMount[] = [];
    Deno.mkdirSync(this.#files.targetDirectory(begun.id), { mode: 0o700 });
    for (const [index, point] of begun.mountPoints.entries()) {
      const mount = await this.#prepared(mounts[index]!, active, signal);
      active.push(await this.#mount(mount, point, active, signal));
    }
    const system = mounts.slice(count);
    if (transformed && system[0] !== undefined) system[0] = await this.#prepared(system[0], active, signal);
    const last = active.at(-1);
    if (temporary && last !== undefined) {
      system.push({ type: "bind", source: last.mountPoint, target: "", options: ["rbind"] });
    }
    return { ...begun, active, system, complete: true };
  }

  async #prepared(mount: MountPart, active: readonly ActiveMount[], signal: AbortSignal): Promise<MountPart> {
    const { mount: result, preparations } = transform(mount, active);
    const roots = [this.#files.directory + "/t", ...this.#options.roots];
    for (const preparation of preparations) await prepare(preparation, roots, signal);
    return result;
  }

  async #mount(
    mount: MountPart,
    target: string,
    active: readonly ActiveMount[],
    signal: AbortSignal,
  ): Promise<ActiveMount> {
    const handler = this.#options.handlers?.get(mount.type);
    if (handler !== undefined) return await handler.mount(mount, target, active, signal);
    await this.#run({ kind: "mount", mount, target }, signal);
    // The mount cannot be called back once it has begun.
    signal.throwIfAborted();
    return { mount, mountPoint: target, mountedAt: wallTimeMs() };
  }

  /** Unmounts everything, the last first, and removes files and record. */
  async #undo(id: number, { mountPoints, handled }: Pick<Activation, "mountPoints" | "handled">): Promise<void> {
    const signal = AbortSignal.timeout(undoMsMax);
    for (const [index, point] of [...mountPoints.entries()].reverse()) {
      const type = handled[index]!;
      const handler = this.#options.handlers?.get(type);
      if (handler !== undefined) await handler.unmount(point, signal);
      else if (type === "") await this.#run({ kind: "unmount", targets: [point] }, signal);
      else throw new Failure("FailedPrecondition", `unmount "${point}": nothing here knows mounts of type "${type}"`);
    }
    await this.#run({ kind: "unmount", targets: [], directory: this.#files.targetDirectory(id) }, signal);
    this.#files.remove(id);
  }

  async #run(job: MountJob, signal: AbortSignal): Promise<void> {
    await this.#workers.use(signal, (worker) => worker.run(job, signal));
  }

  /** Unmounts what the name stands for, and forgets it. Rejects with `NotFound`. */
  async deactivate(namespace: string, name: string, signal: AbortSignal): Promise<void> {
    const key = keyOf(namespace, name);
    await this.#alone(key, signal, async () => {
      const activation = this.#activations.get(key);
      if (activation === undefined) throw new Failure("NotFound", `missing mount "${name}" bucket`);
      // From here on it is on its way out, whatever happens: the next start goes on where this one ends.
      this.#files.write({ ...activation, complete: false });
      this.#activations.delete(key);
      await this.#undo(activation.id, activation);
    });
  }

  /** What the name stands for. Throws `NotFound`. */
  info(namespace: string, name: string): Activation {
    const activation = this.#activations.get(keyOf(namespace, name));
    if (activation === undefined) throw new Failure("NotFound", `mount "${name}"`);
    return activation;
  }

  /** All activations of a namespace, by name. */
  list(namespace: string): Activation[] {
    return this.all().filter((activation) => activation.namespace === namespace)
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** All activations of all namespaces. */
  all(): Activation[] {
    return [...this.#activations.values()];
  }

  /**
   * Ends the activations for which `isKept` is false; to be called after a collection of garbage, when the leases and
   * objects that keep mounts are known. Gives their names. One that cannot be ended does not stop the others.
   */
  async collect(
    isKept: (activation: Activation) => boolean,
    signal: AbortSignal,
    warn: (sentence: string) => void,
  ): Promise<string[]> {
    const ended: string[] = [];
    for (const activation of this.all()) {
      if (isKept(activation)) continue;
      const { namespace, name } = activation;
      try {
        await this.deactivate(namespace, name, signal);
        ended.push(keyOf(namespace, name));
      } catch (error) {
        signal.throwIfAborted();
        // Its client was quicker.
        if (!isFailure(error, "NotFound")) warn(`end mount "${name}" of namespace "${namespace}": ${messageOf(error)}`);
      }
    }
    return ended;
  }

  async #alone<T>(key: string, signal: AbortSignal, body: (signal: AbortSignal) => Promise<T>): Promise<T> {
    for (let other; (other = this.#busy.get(key)) !== undefined;) await untilAborted(other, signal);
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#busy.set(key, promise);
    try {
      return await body(signal);
    } finally {
      this.#busy.delete(key);
      resolve();
    }
  }

  /**
   * Ends what is under way, waits until it is undone, and ends the threads: nothing is mounted from then on. What is
   * activated stays mounted for the next daemon.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Failure("Unavailable", "the daemon ends"));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, closeMsMax);
    while (this.#busy.size > 0) {
      const isLate = await Promise.race([Promise.all(this.#busy.values()).then(() => false), late.then(() => true)]);
      if (isLate) break;
    }
    clearTimeout(timer);
    this[Symbol.dispose]();
  }

  /** Ends the threads. What is mounted stays. */
  [Symbol.dispose](): void {
    this.#workers[Symbol.dispose]();
  }
}

/** Paths of all mounts of this process, without the escapes of mountinfo, which our own paths never need. */
function mountPointsNow(): Set<string> {
  const lines = Deno.readTextFileSync("/proc/self/mountinfo").split("\n");
  return new Set(lines.map((line) => line.split(" ")[4] ?? ""));
}
