/**
 * Fetching manifests, indexes and configs into the store.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import type { Descriptor } from "../../api/oci/image_spec.ts";
import type { ContentStore } from "../content/content_store.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { ImageSource } from "../sources/source.ts";
import { childLabels, sourceLabels } from "./content_labels.ts";
import type { ProgressListener } from "./progress.ts";
import { refKey } from "./ref_key.ts";
import { transferDocument } from "./transfer.ts";

/** Fetches documents into the store, where they are not there yet, and keeps them under a lease. */
export class DocumentFetcher {
  constructor(
    private readonly content: ContentStore,
    private readonly source: ImageSource,
    private readonly lease: string,
    private readonly signal: AbortSignal,
    private readonly progress: ProgressListener = () => {},
  ) {}

  /** The document's bytes; `children` finds what its blob is to keep alive. Throws `DataLoss` for other content. */
  async fetch(
    kind: "index" | "manifest" | "config",
    document: Descriptor,
    children: (bytes: Uint8Array) => readonly Descriptor[] = () => [],
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { digest, size } = document;
    const { lease, signal } = this;
    const report = (state: "waiting" | "done" | "exists") =>
      this.progress({ kind: "blob", descriptor: document, state, offset: state === "waiting" ? 0 : size });
    report("waiting");
    const bytes = await this.#stored(document);
    if (bytes !== undefined) {
      await this.content.addLabels(digest, this.#labels(children(bytes), (await this.content.info(digest)).labels));
      report("exists");
      return bytes;
    }
    const what = `download ${kind} ${digest} of ${this.source.name}`;
    const fetched = await transferDocument(this.source, document, signal, what);
    await verify(fetched, document, `${kind} ${digest} of ${this.source.name}`);
    const labels = this.#labels(children(fetched), {});
    const isNew = await this.content.put(refKey(document), fetched, { expected: digest, size, lease, signal, labels });
    if (isNew) this.progress({ kind: "stored", digest, size });
    report("done");
    return fetched;
  }

  /** What is in the store already, under the lease then; what a disk has changed is thrown away. */
  async #stored({ digest, size }: Descriptor): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!await this.content.claim(digest, { size, lease: this.lease })) return undefined;
    try {
      return await this.content.read(digest);
    } catch (error) {
      if (!isFailure(error, "DataLoss")) throw error;
      await this.content.deleteDamaged(digest, this.signal);
      return undefined;
    }
  }

  #labels(children: readonly Descriptor[], old: Labels): Labels {
    return { ...childLabels(children), ...sourceLabels(this.source.distribution, old) };
  }
}

/** Before anything is parsed or stored, so that the sentence can say where it came from. */
async function verify(bytes: Uint8Array, { digest }: Descriptor, what: string): Promise<void> {
  const { createHash } = await import("node:crypto");
  const algorithm = digest.slice(0, digest.indexOf(":"));
  const actual = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
  if (actual !== digest) throw new Failure("DataLoss", `${what} came with other content: its digest is ${actual}`);
}
