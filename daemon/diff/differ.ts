/**
 * Applies layers to mounts and makes layers of them: containerd's "walking" differ, on threads of its own.
 *
 * @module
 */
import { splitLowers } from "../../ffi/lower_directories.ts";
import type { Digest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { overlayOption } from "../mounts/mount_options.ts";
import type { MountPart } from "../mounts/perform.ts";
import type { CompareJob, CompareResult } from "./compare.ts";
import { JobWorker, workerUrl } from "./job_worker.ts";
import { type LayerResult, type LayerTarget, LayerWorker } from "./layer_worker.ts";
import { planProcessing, process, type StreamProcessor } from "./stream_processor.ts";
import { inUserNamespace } from "./user_namespace.ts";
import { WorkerPool } from "./worker_pool.ts";

/** Options of {@link Differ}. */
export interface DifferOptions {
  /** An existing directory of our own to mount below; nothing is ever left in it. Containerd's is `ROOT/tmpmounts`. */
  readonly mountDirectory: string;
  /** Programs for media types that are not known here; the first that accepts a type gets it. Default: none. */
  readonly processors?: readonly StreamProcessor[];
}

/** A layer to apply. */
export interface ApplyJob {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Path of the blob. */
  readonly blob: string;
  readonly mounts: readonly MountPart[];
  /** Whether the result is to be on disk, as far as containerd knows how: of overlays and single bind mounts. */
  readonly sync: boolean;
  /** What the client sent for stream processors, by their ids. */
  readonly payloads: ReadonlyMap<string, Uint8Array>;
}

/** The archive that was applied. */
export interface AppliedLayer {
  readonly diffId: Digest;
  readonly diffSize: number;
  readonly warnings: readonly string[];
}

/** Layers that are applied at once, as in a pull; more would share the same disk and processors. */
const appliesMax = 3;
/** Comparisons at once: each packs with a thread of its own. */
const comparesMax = 2;

/** See the module's comment. Threads are started when they are needed, and ended some time after. */
export class Differ implements Disposable {
  readonly #options: DifferOptions;
  readonly #applying = new WorkerPool(() => new LayerWorker(), { size: appliesMax });
  readonly #comparing = new WorkerPool(
    () => new JobWorker<CompareJob, CompareResult>(workerUrl(import.meta.url, "compare_worker_main"), "compare"),
    { size: comparesMax },
  );

  constructor(options: DifferOptions) {
    this.#options = options;
  }

  /**
   * Applies a layer. A single overlay's upper directory is written without mounting anything; other mounts are performed
   * for the worker's thread alone. Rejects with {@link Failure}: `Unknown` where no processor knows the media type,
   * `InvalidArgument` and `DataLoss` for bad archives; with the signal's reason. What was applied until then stays.
   */
  async apply(job: ApplyJob, signal: AbortSignal): Promise<AppliedLayer> {
    const { stages, mediaType } = planProcessing(job.mediaType, this.#options.processors ?? []);
    const target = this.#target(job);
    return await this.#applying.use(signal, async (worker) => {
      const stop = () => void worker.abort();
      signal.addEventListener("abort", stop, { once: true });
      try {
        signal.throwIfAborted();
        const plain = stages.length === 0;
        worker.start({ mediaType, target, offset: 0, ...(plain ? { blob: job.blob } : {}) });
        if (!plain) {
          for await (const bytes of process(stages, job.blob, job.payloads, signal)) await worker.write(bytes);
        }
        return this.#applied(await worker.finish(), job, plain);
      } catch (error) {
        await worker.abort();
        throw signal.aborted ? signal.reason : explain(error, target);
      } finally {
        signal.removeEventListener("abort", stop);
      }
    });
  }

  #applied(result: LayerResult, job: ApplyJob, plain: boolean): AppliedLayer {
    if (plain && job.digest.startsWith("sha256:") && result.digest !== job.digest) {
      throw new Failure("DataLoss", `content digest ${job.digest}: its file is damaged: it has ${result.digest} now`);
    }
    if (result.diffId === undefined || result.diffSize === undefined) {
      throw new Error("a layer was applied, and its worker does not say which");
    }
    return { diffId: result.diffId, diffSize: result.diffSize, warnings: result.warnings ?? [] };
  }

  #target({ mounts, sync }: ApplyJob): LayerTarget {
    const [mount, ...rest] = mounts;
    if (mount === undefined) throw new Failure("InvalidArgument", "applying a layer needs at least one mount");
    const single = rest.length === 0 && mount.target === "";
    const upper = single && mount.type === "overlay" ? overlayOption(mount.options, "upperdir") : undefined;
    if (upper !== undefined && !inUserNamespace()) {
      const lowers = splitLowers(overlayOption(mount.options, "lowerdir") ?? "").filter((dir) => dir !== "");
      return { dir: upper, form: "overlay", lowers, ...(sync ? { sync: upper } : {}) };
    }
    const isBind = single && mount.options.some((option) => option === "bind" || option === "rbind");
    const synced = upper ?? (isBind ? mount.source : undefined);
    const dir = `${this.#options.mountDirectory}/apply`;
    return { dir, form: "plain", mounts, ...(sync && synced !== undefined ? { sync: synced } : {}) };
  }

  /** Makes the layer that leads from `lower` to `upper`. Rejects with {@link Failure} and with the signal's reason. */
  async compare(job: Omit<CompareJob, "mountDirectory">, signal: AbortSignal): Promise<CompareResult> {
    const { mountDirectory } = this.#options;
    return await this.#comparing.use(signal, (worker) => worker.run({ ...job, mountDirectory }, signal));
  }

  /** Ends all threads; what they were doing fails. */
  [Symbol.dispose](): void {
    this.#applying[Symbol.dispose]();
    this.#comparing[Symbol.dispose]();
  }
}

function explain(error: unknown, { dir, mounts }: LayerTarget): unknown {
  const isPlain = mounts === undefined || !(error instanceof Failure);
  if (isPlain || error.message.startsWith("failed to mount ") || error.message.startsWith("mounting ")) return error;
  return new Failure(error.code, `mount callback failed on ${dir}: ${error.message}`, { cause: error });
}
