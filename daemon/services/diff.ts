/**
 * The diff service: layers onto mounts, and mounts into layers.
 *
 * @module
 */
import { isDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import {
  type ApplyRequest,
  ApplyResponse,
  type DiffDefinition,
  type DiffRequest,
  DiffResponse,
} from "../../api/gen/services/diff/v1/diff.ts";
import { type CallContext, leaseOf, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { msOfTime } from "../../api/timestamp.ts";
import type { Ingest } from "../content/ingest.ts";
import type { LayerPacking } from "../diff/compress.ts";
import type { CompareResult } from "../diff/compare.ts";
import type { Differ } from "../diff/differ.ts";
import type { Stores } from "../store.ts";
import { eventKinds } from "./event_kinds.ts";
import { announce, type Publisher } from "./parts.ts";

/** What {@link DiffService} needs. */
export interface DiffParts {
  readonly stores: Stores;
  readonly events: Publisher;
  readonly differ: Differ;
  /** Whether applied layers go to disk also where the caller does not ask for it. Default false. */
  readonly syncFs?: boolean;
}

const layerType = "application/vnd.oci.image.layer.v1.tar";
const packings: Readonly<Record<string, LayerPacking>> = {
  [layerType]: "none",
  [`${layerType}+gzip`]: "gzip",
  [`${layerType}+zstd`]: "zstd",
};
const uncompressedLabel = "containerd.io/uncompressed";

/** `containerd.services.diff.v1.Diff`. */
export class DiffService implements ServiceOf<typeof DiffDefinition> {
  readonly #parts: DiffParts;

  constructor(parts: DiffParts) {
    this.#parts = parts;
  }

  /** Applies a layer of the content store to mounts, and answers with the archive that was in it. */
  async apply(request: ApplyRequest, context: CallContext): Promise<ApplyResponse> {
    const { content } = this.#parts.stores.of(namespaceOf(context));
    const { mediaType = "", digest = "" } = request.diff ?? {};
    if (!isDigest(digest) || await content.find(digest) === undefined) {
      throw new Failure("NotFound", `failed to get reader from content store: content digest ${digest}`);
    }
    const payloads = Object.entries(request.payloads).map(([id, any]) => [id, Any.encode(any).finish()] as const);
    const { diffId, diffSize } = await this.#parts.differ.apply({
      mediaType,
      digest,
      blob: content.path(digest),
      mounts: request.mounts,
      sync: request.syncFs || this.#parts.syncFs === true,
      payloads: new Map(payloads),
    }, context.signal);
    return ApplyResponse.fromPartial({ applied: { mediaType: layerType, digest: diffId, size: diffSize } });
  }

  /** Makes a layer of what changed from the left mounts to the right ones, and puts it into the content store. */
  async diff(request: DiffRequest, context: CallContext): Promise<DiffResponse> {
    const namespace = namespaceOf(context);
    const mediaType = request.mediaType === "" ? `${layerType}+gzip` : request.mediaType;
    const packing = packings[mediaType];
    if (packing === undefined) throw new Failure("NotImplemented", `unsupported diff media type: ${mediaType}`);
    const { content } = this.#parts.stores.of(namespace);
    const lease = leaseOf(context);
    const ref = request.ref === "" ? newRef() : request.ref;
    const options = { signal: context.signal, ...(lease === undefined ? {} : { lease }) };
    const ingest = await content.openIngest(ref, options);
    try {
      // What an earlier call of this ref left is of no use: nobody knows where it ended.
      if (ingest.offset > 0) ingest.truncate();
      const { sourceDateEpoch } = request;
      const result = await this.#parts.differ.compare({
        lower: request.left,
        upper: request.right,
        packing,
        output: ingest.dataPath,
        ...(sourceDateEpoch === undefined ? {} : { mtimeMax: Math.floor(msOfTime(sourceDateEpoch) / 1000) }),
      }, context.signal);
      await this.#commit({ ingest, namespace }, result, request.labels, packing);
      const { digest, size } = result;
      return DiffResponse.fromPartial({ diff: { mediaType, digest, size } });
    } catch (error) {
      // One that the client has named is its own to abort, as in containerd.
      if (request.ref === "") await ingest.abort();
      else ingest.close();
      throw error;
    }
  }

  async #commit(
    place: { ingest: Ingest; namespace: string },
    { digest, size, diffId }: CompareResult,
    labels: Readonly<Record<string, string>>,
    packing: LayerPacking,
  ): Promise<void> {
    const { ingest, namespace } = place;
    const all = packing === "none" ? labels : { ...labels, [uncompressedLabel]: diffId };
    const { published } = await ingest.publish({ computed: digest, size, labels: all });
    if (published === "created") announce(this.#parts.events, namespace, eventKinds.contentCreate, { digest, size });
  }
}

/** A ref that nobody else has: nanoseconds since 1970 and three random bytes. */
function newRef(): string {
  const nanos = BigInt(Date.now()) * 1_000_000n + BigInt(Math.floor((performance.now() % 1) * 1e6));
  const random = crypto.getRandomValues(new Uint8Array(3)).toBase64({ alphabet: "base64url" });
  return `${nanos}-${random}`;
}
