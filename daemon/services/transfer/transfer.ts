/**
 * The transfer service: images between registries, archives and the store.
 *
 * @module
 */
import { Failure, isFailure } from "../../../api/errors.ts";
import type { Any } from "../../../api/gen/google/protobuf/any.ts";
import { ImagesDefinition } from "../../../api/gen/services/images/v1/images.ts";
import type { TransferDefinition, TransferRequest } from "../../../api/gen/services/transfer/v1/transfer.ts";
import { ImageStore } from "../../../api/gen/types/transfer/imagestore.ts";
import { OCIRegistry } from "../../../api/gen/types/transfer/registry.ts";
import { type CallContext, leaseKey, leaseOf, namespaceKey, namespaceOf } from "../../../api/rpc/context.ts";
import type { ClientOf, ServiceOf } from "../../../api/rpc/definition.ts";
import { inProcess } from "../../../api/rpc/in_process.ts";
import type { Stores } from "../../store.ts";
import type { StreamTable } from "../../streams/message_stream.ts";
import { typeName } from "../../streams/type_name.ts";
import type { Logger } from "../../log/logger.ts";
import type { Publisher } from "../parts.ts";
import { announcer } from "./announcer.ts";
import { ProgressStream } from "./progress_stream.ts";
import { pullImage } from "./pull.ts";
import { type StoredImages, storeImage } from "./store_image.ts";

/** What {@link TransferService} needs. */
export interface TransferParts {
  readonly stores: Stores;
  readonly streams: StreamTable;
  readonly images: ServiceOf<typeof ImagesDefinition>;
  readonly events: Publisher;
  readonly log: Logger;
  /** Directories that describe registries' hosts, for clients that name none. */
  readonly hostDirectories?: readonly string[];
  /** Layers that one pull fetches at once. Default: 3. */
  readonly atOnce?: number;
  /** Whether images for other platforms than the host's are refused to be unpacked. Default false. */
  readonly hostOnly?: boolean;
}

/** A transfer without a lease of the caller's gets one that ends after a day, as containerd's clients do. */
const leaseMs = 24 * 60 * 60 * 1000;

const registryType = "containerd.types.transfer.OCIRegistry";
const storeType = "containerd.types.transfer.ImageStore";

/**
 * `containerd.services.transfer.v1.Transfer`: pulls (and unpacks) an image, and tags one. Push, import and export answer
 * Unimplemented.
 */
export class TransferService implements ServiceOf<typeof TransferDefinition> {
  constructor(private readonly parts: TransferParts) {}

  async transfer(request: TransferRequest, context: CallContext): Promise<Record<never, never>> {
    const { source, destination, options } = request;
    if (source === undefined) throw new Failure("InvalidArgument", "transfer: it needs a source");
    if (destination === undefined) throw new Failure("InvalidArgument", "transfer: it needs a destination");
    const namespace = namespaceOf(context);
    const [from, to] = [typeName(source.typeUrl), typeName(destination.typeUrl)];
    const perform = to !== storeType
      ? undefined
      : from === registryType
      ? this.#pull
      : from === storeType
      ? this.#tag
      : undefined;
    if (perform === undefined) {
      throw new Failure("NotImplemented", `method Transfer not implemented for ${from} to ${to}`);
    }
    const progressId = options?.progressStream ?? "";
    const stream = progressId === "" ? undefined : this.parts.streams.get(namespace, progressId);
    const progress = new ProgressStream(stream);
    try {
      await perform.call(this, source, destination, { namespace, progress, context });
    } finally {
      await progress.close();
    }
    return {};
  }

  async #pull(source: Any, destination: Any, call: TransferCall): Promise<void> {
    const { namespace, progress, context } = call;
    const registry = OCIRegistry.decode(source.value);
    const authId = registry.resolver?.authStream ?? "";
    const auth = authId === "" ? undefined : this.parts.streams.get(namespace, authId);
    const store = this.parts.stores.of(namespace);
    const given = leaseOf(context);
    const lease = given ?? `transfer-${crypto.randomUUID()}`;
    if (given === undefined) {
      await store.leases.create(lease, {
        labels: { "containerd.io/gc.expire": new Date(Date.now() + leaseMs).toISOString() },
      });
    }
    try {
      const images = this.#images(namespace, lease, context.signal);
      const { events, log, hostDirectories, atOnce, hostOnly = false } = this.parts;
      await pullImage(registry, ImageStore.decode(destination.value), {
        store,
        images,
        lease,
        progress,
        auth,
        announce: announcer(events, namespace),
        warn: (message) => log.warn(message, { ref: registry.reference }),
        hostDirectories,
        atOnce,
        hostOnly,
        signal: context.signal,
      });
    } finally {
      if (given === undefined) {
        await store.leases.delete(lease).catch((error) => {
          if (!isFailure(error, "NotFound")) throw error;
        });
      }
    }
  }

  async #tag(source: Any, destination: Any, { namespace, progress, context }: TransferCall): Promise<void> {
    const { name } = ImageStore.decode(source.value);
    const wanted = ImageStore.decode(destination.value);
    const { target } = await this.parts.stores.of(namespace).images.get(name);
    const images = this.#images(namespace, leaseOf(context), context.signal);
    await storeImage(wanted, wanted.name, target, { images, progress });
  }

  #images(namespace: string, lease: string | undefined, signal: AbortSignal): StoredImages {
    const metadata = { [namespaceKey]: namespace, ...(lease === undefined ? {} : { [leaseKey]: lease }) };
    const client: ClientOf<typeof ImagesDefinition> = inProcess(ImagesDefinition, this.parts.images, metadata);
    return {
      create: (request) => client.create(request, { signal }),
      update: (request) => client.update(request, { signal }),
    };
  }
}

interface TransferCall {
  readonly namespace: string;
  readonly progress: ProgressStream;
  readonly context: CallContext;
}
