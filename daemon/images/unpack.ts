/**
 * Turning the layers of an image into snapshots, while they are downloaded.
 *
 * @module
 */
import type { Digest } from "../../api/digest.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import type { Descriptor } from "../../api/oci/image_spec.ts";
import type { ContentStore } from "../content/content_store.ts";
import type { Ingest } from "../content/ingest.ts";
import type { LayerResult, LayerWorker } from "../diff/layer_worker.ts";
import { settleLayer } from "../diff/settle.ts";
import type { DirectorySnapshotter } from "../snapshots/directory_snapshotter.ts";
import type { ImageSource } from "../sources/source.ts";
import { chainIds } from "./chain_id.ts";
import { sourceLabels } from "./content_labels.ts";
import { LayerWorkers } from "./layer_workers.ts";
import type { LayerState, ProgressListener } from "./progress.ts";
import { InterruptedTransfer, transfer } from "./transfer.ts";

/** Layers that are downloaded and unpacked at once, as docker does; more share the same disk and network. */
const layersAtOnce = 3;

/** How long an interrupted download may take to end; a disk that is slower keeps less of it. */
const storeRestMsMax = 1000;

/** What {@link unpackLayers} works with. */
export interface UnpackJob {
  readonly content: ContentStore;
  readonly snapshotter: DirectorySnapshotter;
  readonly source: ImageSource;
  readonly layers: readonly Descriptor[];
  /** One for each layer. */
  readonly diffIds: readonly Digest[];
  /** Keeps everything until the image has its name. */
  readonly lease: string;
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener | undefined;
  /** Layers that are fetched and unpacked at once. */
  readonly atOnce?: number;
}

interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: Digest;
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
}

/**
 * Makes the snapshots of all layers that are not there yet, fetches only what they need, and gives the chain id of the
 * last one (undefined without layers).
 *
 * Layers are downloaded and applied side by side where the snapshotter can put them together afterwards, else one after
 * another; they are committed from the base up, each after its digest and diff id were compared. Where it throws, the
 * layers committed so far stay and the others have left nothing, but for the bytes of interrupted downloads.
 */
export async function unpackLayers(job: UnpackJob): Promise<Digest | undefined> {
  for (const digest of [...job.layers.map((layer) => layer.digest), ...job.diffIds]) {
    // The workers compute this one only; no tool is known to make others for layers.
    if (!digest.startsWith("sha256:")) {
      throw new Failure("NotImplemented", `layer ${digest} of ${job.source.name}: only sha256 digests are supported`);
    }
  }
  const chain = await chainIds(job.diffIds);
  const layers = job.layers.map((descriptor, index): Layer => ({
    descriptor,
    diffId: job.diffIds[index]!,
    chainId: chain[index]!,
    parent: chain[index - 1],
  }));
  const present = await countPresent(job, layers);
  for (const [index, layer] of layers.entries()) report(job, layer, index < present ? "exists" : "waiting", 0);
  if (present < layers.length) await new Unpacking(job).run(layers.slice(present));
  return chain.at(-1);
}

/** How many layers, from the base up, are snapshots; they are under the lease then. */
async function countPresent(job: UnpackJob, layers: readonly Layer[]): Promise<number> {
  // From the top: mostly all are there, or none.
  for (let count = layers.length; count > 0; count--) {
    if (await job.snapshotter.claim(layers[count - 1]!.chainId, job.lease)) return count;
  }
  return 0;
}

function report(job: UnpackJob, { descriptor }: Layer, state: LayerState, offset: number): void {
  job.progress?.({ kind: "layer", digest: descriptor.digest, state, offset, total: descriptor.size });
}

/** A layer that is applied to an active snapshot and waits for its parent. */
interface Applied {
  readonly key: string;
  readonly result: LayerResult;
}

class Unpacking {
  readonly #job: UnpackJob;
  /** Ends the other layers when one has failed. */
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;

  constructor(job: UnpackJob) {
    this.#signal = AbortSignal.any([job.signal, this.#failed.signal]);
    this.#job = job;
  }

  async run(layers: readonly Layer[]): Promise<void> {
    const parallel = this.#job.snapshotter.rebases;
    using workers = new LayerWorkers(parallel ? this.#job.atOnce ?? layersAtOnce : 1);
    let below = Promise.resolve();
    const all = layers.map((layer) => {
      const parent = below;
      return below = this.#stopOthers(this.#layer(layer, workers, parent, parallel));
    });
    await Promise.allSettled(all);
    // The first error of all is the reason; the others are of its making.
    if (this.#failed.signal.aborted) throw this.#failed.signal.reason;
  }

  async #stopOthers(layer: Promise<void>): Promise<void> {
    try {
      await layer;
    } catch (error) {
      this.#failed.abort(this.#job.signal.aborted ? this.#job.signal.reason : error);
      throw error;
    }
  }

  async #layer(layer: Layer, workers: LayerWorkers, parent: Promise<void>, parallel: boolean): Promise<void> {
    // Heard of where it is awaited.
    parent.catch(() => {});
    if (!parallel) await parent;
    const { snapshotter, lease } = this.#job;
    const made = await workers.use(async (worker) => {
      this.#signal.throwIfAborted();
      const lock = await snapshotter.lockName(layer.chainId, this.#signal);
      try {
        const exists = await snapshotter.claim(layer.chainId, lease);
        return { lock, applied: exists ? undefined : await this.#apply(layer, worker) };
      } catch (error) {
        lock.release({ remove: true });
        throw error;
      }
    });
    try {
      if (made.applied === undefined) return report(this.#job, layer, "exists", layer.descriptor.size);
      await this.#commit(layer, made.applied, parent);
    } finally {
      made.lock.release({ remove: true });
    }
    report(this.#job, layer, "done", layer.descriptor.size);
  }

  /** Applies the layer to a new active snapshot, once more from the start where what was here already is to blame. */
  async #apply(layer: Layer, worker: LayerWorker): Promise<Applied> {
    for (let attempt = 1;; attempt++) {
      const key = `extract-${crypto.randomUUID()} ${layer.chainId}`;
      try {
        return { key, result: await this.#applyTo(key, layer, worker) };
      } catch (error) {
        await worker.abort();
        await this.#removeActive(key);
        if (!(error instanceof BadRemainder) || attempt > 1) throw this.#explain(layer, reasonOf(error));
      }
    }
  }

  /** The worker's sentences are about archives and files, and the user knows the image. */
  #explain({ descriptor }: Layer, error: unknown): unknown {
    if (!(error instanceof Failure) || error.message.includes(descriptor.digest)) return error;
    const message = `unpack layer ${descriptor.digest} of ${this.#job.source.name}: ${error.message}`;
    return new Failure(error.code, message, { cause: error });
  }

  async #removeActive(key: string): Promise<void> {
    try {
      await this.#job.snapshotter.remove(key);
      this.#tell("remove", key);
    } catch (error) {
      if (!isFailure(error, "NotFound")) throw error;
    }
  }

  #tell(did: "prepare" | "commit" | "remove", key: string, { parent = "", name = "" } = {}): void {
    const { progress, snapshotter } = this.#job;
    progress?.({ kind: "snapshot", did, snapshotter: snapshotter.name, key, parent, name });
  }

  async #applyTo(key: string, layer: Layer, worker: LayerWorker): Promise<LayerResult> {
    const { content, snapshotter, lease } = this.#job;
    const parent = snapshotter.rebases || layer.parent === undefined ? {} : { parent: layer.parent };
    await snapshotter.prepare(key, { ...parent, lease });
    this.#tell("prepare", key, { parent: layer.parent ?? "" });
    const target = { dir: await snapshotter.layerDirectory(key), form: snapshotter.layers };
    const { mediaType, digest, size } = layer.descriptor;
    let ingest: Ingest;
    try {
      ingest = await content.openIngest(`layer-${digest}`, { expected: digest, size, lease, signal: this.#signal });
    } catch (error) {
      if (!isFailure(error, "AlreadyExists")) throw error;
      report(this.#job, layer, "unpacking", size);
      worker.start({ mediaType, target, offset: 0, blob: content.path(digest) });
      return await this.#finishStored(layer, worker);
    }
    using _kept = ingest;
    return await this.#download(layer, worker, ingest, target);
  }

  /** Takes the blob from the store; one whose bytes have changed there is thrown away and fetched anew. */
  async #finishStored(layer: Layer, worker: LayerWorker): Promise<LayerResult> {
    const { descriptor: { digest, mediaType } } = layer;
    const { content } = this.#job;
    try {
      const result = await this.#finish(worker);
      this.#checkDigests(layer, result);
      await content.addLabels(digest, this.#blobLabels(layer, (await content.info(digest)).labels));
      return result;
    } catch (error) {
      if (this.#signal.aborted || isDiskTrouble(error)) throw error;
      await worker.abort();
      // Was it the tar, or the disk?
      worker.start({ mediaType, offset: 0, blob: content.path(digest) });
      const { digest: actual } = await this.#finish(worker);
      if (actual === digest) throw error;
      await content.deleteDamaged(digest, this.#signal);
      throw new BadRemainder(error);
    }
  }

  async #download(
    layer: Layer,
    worker: LayerWorker,
    ingest: Ingest,
    target: { dir: string; form: "overlay" | "plain" },
  ): Promise<LayerResult> {
    const { source } = this.#job;
    const { descriptor } = layer;
    const { offset: begun } = ingest;
    try {
      let offset = begun;
      report(this.#job, layer, "downloading", offset);
      worker.start({ mediaType: descriptor.mediaType, target, ingestData: ingest.dataPath, offset });
      const what = `download layer ${descriptor.digest} of ${source.name}`;
      await transfer(source, descriptor, { offset, signal: this.#signal, what }, async (piece) => {
        const { length } = piece;
        await worker.write(piece);
        offset += length;
        report(this.#job, layer, "downloading", offset);
      });
      report(this.#job, layer, "unpacking", descriptor.size);
      const result = await this.#finish(worker);
      this.#checkDigests(layer, result);
      const { digest, size } = descriptor;
      const { published } = await ingest.publish({
        expected: digest,
        size,
        computed: result.digest,
        labels: this.#blobLabels(layer, {}),
      });
      if (published === "created") this.#job.progress?.({ kind: "stored", digest, size });
      return result;
    } catch (error) {
      const isInterrupted = error instanceof InterruptedTransfer || this.#signal.aborted;
      if (isInterrupted) await storeRest(worker);
      // Before the ingest is let go, so that nobody else writes to it at the same time.
      await worker.abort();
      if (isInterrupted) throw error;
      // Nothing says that the bytes are right, or that there is room for them.
      await ingest.abort();
      throw begun > 0 && !isDiskTrouble(error) ? new BadRemainder(error) : error;
    }
  }

  /** Waits for the worker, but no longer than until the signal. */
  async #finish(worker: LayerWorker): Promise<LayerResult> {
    const stop = () => void worker.abort();
    this.#signal.addEventListener("abort", stop, { once: true });
    try {
      this.#signal.throwIfAborted();
      return await worker.finish();
    } finally {
      this.#signal.removeEventListener("abort", stop);
    }
  }

  #checkDigests({ descriptor, diffId }: Layer, result: LayerResult): void {
    const { source } = this.#job;
    if (result.digest !== descriptor.digest) {
      throw new Failure(
        "DataLoss",
        `layer ${descriptor.digest} of ${source.name} came with other content: its digest is ${result.digest}`,
      );
    }
    if (result.diffId !== diffId) {
      throw new Failure(
        "FailedPrecondition",
        `wrong diff id "${result.diffId}" calculated on extraction "${diffId}", desc "layer ${descriptor.digest}" ` +
          `of ${source.name}: the image's config does not belong to its layers`,
      );
    }
  }

  #blobLabels({ diffId }: Layer, old: Readonly<Record<string, string>>): Record<string, string> {
    return { "containerd.io/uncompressed": diffId, ...sourceLabels(this.#job.source.distribution, old) };
  }

  async #commit(layer: Layer, { key, result }: Applied, parent: Promise<void>): Promise<void> {
    const { snapshotter, lease } = this.#job;
    const { chainId, diffId } = layer;
    try {
      await parent;
      this.#signal.throwIfAborted();
      if (layer.parent !== undefined && snapshotter.layers === "overlay") {
        const lowers = [
          await snapshotter.layerDirectory(layer.parent),
          ...await snapshotter.parentDirectories(layer.parent),
        ];
        settleLayer(await snapshotter.layerDirectory(key), lowers, result);
      }
      await snapshotter.commit(key, chainId, {
        lease,
        ...(layer.parent === undefined ? {} : { parent: layer.parent }),
        labels: {
          "containerd.io/snapshot.ref": chainId,
          "containerd.io/snapshot/diff-id": diffId,
          ...(layer.parent === undefined ? {} : { "containerd.io/snapshot/parent-chain-id": layer.parent }),
        },
      });
      this.#tell("commit", key, { name: chainId });
    } catch (error) {
      await this.#removeActive(key);
      if (isFailure(error, "AlreadyExists")) return;
      throw this.#signal.aborted ? error : this.#explain(layer, error);
    }
  }
}

/** Lets the worker store what it was given, for the next pull: at most 8 MiB, which take some 30 ms. */
async function storeRest(worker: LayerWorker): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, storeRestMsMax));
  // It fails, as the archive has no end.
  await Promise.race([worker.finish().then(() => {}, () => {}), late]);
  clearTimeout(timer);
}

/** What an earlier pull had left was wrong and is gone now; it is worth trying again. */
class BadRemainder extends Error {
  constructor(reason: unknown) {
    super("what was there already is damaged", { cause: reason });
  }
}

function reasonOf(error: unknown): unknown {
  return error instanceof BadRemainder ? error.cause : error;
}

/** Whether trying again cannot help: the disk is full, or does not let us. */
function isDiskTrouble(error: unknown): boolean {
  return isFailure(error, "ResourceExhausted") || isFailure(error, "PermissionDenied");
}
