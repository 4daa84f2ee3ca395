/**
 * Checkpoints in the content store: a directory of criu's as a tar archive, and the container's spec beside it.
 *
 * @module
 */
import { isDigest } from "../../api/digest.ts";
import { Failure } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import type { Descriptor } from "../../api/gen/types/descriptor.ts";
import { type CallContext, leaseOf, namespaceOf } from "../../api/rpc/context.ts";
import type { CommitOptions, Ingest } from "../content/ingest.ts";
import type { Differ } from "../diff/differ.ts";
import type { Stores } from "../store.ts";
import { eventKinds } from "./event_kinds.ts";
import { announce, type Publisher } from "./parts.ts";

/** What {@link CheckpointBlobs} needs. */
export interface CheckpointParts {
  readonly stores: Stores;
  readonly events: Publisher;
  readonly differ: Pick<Differ, "apply" | "compare">;
}

/** Media types of the two blobs (containerd `core/images/mediatypes.go`). */
const types = {
  images: "application/vnd.containerd.container.criu.checkpoint.criu.tar",
  spec: "application/vnd.containerd.container.checkpoint.config.v1+proto",
} as const;

/** What the differ takes a directory for. */
const layerType = "application/vnd.oci.image.layer.v1.tar";

const bind = (source: string) => ({ type: "bind", source, target: "", options: ["rbind", "rw"] });

/** See the module. */
export class CheckpointBlobs {
  readonly #parts: CheckpointParts;

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
  }

  /**
   * Unpacks the images of a checkpoint into an empty directory. Throws `Unknown` in containerd's words for a blob of
   * another type, `NotFound` where it is not in the content store.
   */
  async unpack({ mediaType, digest }: Descriptor, directory: string, context: CallContext): Promise<void> {
    if (mediaType !== types.images) {
      throw new Failure("Unknown", `unsupported checkpoint type ${JSON.stringify(mediaType)}`);
    }
    const { content } = this.#parts.stores.of(namespaceOf(context));
    if (!isDigest(digest) || await content.find(digest) === undefined) {
      throw new Failure("NotFound", `content digest ${digest}: not found`);
    }
    const mounts = [bind(directory)];
    const job = { mediaType: layerType, digest, blob: content.path(digest), mounts, sync: false, payloads: new Map() };
    await this.#parts.differ.apply(job, context.signal);
  }

  /** Puts a directory of images into the content store, and the spec; gives their descriptors, in this order. */
  async pack(directory: string, spec: Any | undefined, context: CallContext): Promise<Descriptor[]> {
    const images = await this.#add(types.images, context, async (ingest) => {
      const job = { lower: [], upper: [bind(directory)], packing: "none", output: ingest.dataPath } as const;
      const { digest, size } = await this.#parts.differ.compare(job, context.signal);
      return { computed: digest, size };
    });
    const config = await this.#add(types.spec, context, async (ingest) => {
      await ingest.write(Any.encode(Any.fromPartial(spec ?? {})).finish());
      return {};
    });
    return [images, config];
  }

  /** Adds a blob that `write` makes. */
  async #add(
    mediaType: string,
    context: CallContext,
    write: (ingest: Ingest) => Promise<CommitOptions>,
  ): Promise<Descriptor> {
    const namespace = namespaceOf(context);
    const lease = leaseOf(context);
    const { content } = this.#parts.stores.of(namespace);
    const options = { signal: context.signal, ...(lease === undefined ? {} : { lease }) };
    const ingest = await content.openIngest(`checkpoint-${crypto.randomUUID()}`, options);
    try {
      const { digest, size, published } = await ingest.publish(await write(ingest));
      if (published === "created") announce(this.#parts.events, namespace, eventKinds.contentCreate, { digest, size });
      return { mediaType, digest, size, annotations: {} };
    } catch (error) {
      await ingest.abort();
      throw error;
    }
  }
}
