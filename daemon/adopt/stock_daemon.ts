/**
 * A stock containerd that still runs, as far as adoption asks it.
 *
 * @module
 */
import { connect, dialUnix, type GrpcChannel } from "../../api/grpc/client.ts";
import { type Container, ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import { ContentDefinition, type Info as ContentInfo } from "../../api/gen/services/content/v1/content.ts";
import { type Image, ImagesDefinition } from "../../api/gen/services/images/v1/images.ts";
import { IntrospectionDefinition } from "../../api/gen/services/introspection/v1/introspection.ts";
import { type Lease, LeasesDefinition, type Resource } from "../../api/gen/services/leases/v1/leases.ts";
import { type Namespace, NamespacesDefinition } from "../../api/gen/services/namespaces/v1/namespace.ts";
import { type Info as SnapshotInfo, SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { isFailure } from "../../api/errors.ts";
import type { Mount } from "../../api/gen/types/mount.ts";
import type { CallOptions } from "../../api/rpc/definition.ts";

/** Time for one answer, in milliseconds. */
const answerMs = 60_000;
/** Something that goes wrong leaves the lease of our views for so long at most. */
const leaseMs = 3_600_000;

/** A snapshotter of the daemon's. */
export interface StockSnapshotter {
  readonly name: string;
  /** Where it keeps its snapshots; undefined where it does not tell. */
  readonly directory: string | undefined;
}

/** See {@link StockDaemon.views}. */
export interface StockViews extends AsyncDisposable {
  /** The lease that keeps them. */
  readonly lease: string;
  /** Mounts of a view on a committed snapshot, which is made for that and removed again. */
  mountsOn(snapshotter: string, parent: string): Promise<Mount[]>;
}

/** Answers are in the daemon's own messages. Every method throws what the daemon answers, and the signal's reason. */
export class StockDaemon implements Disposable {
  readonly #channel: GrpcChannel;

  constructor(address: string, private readonly signal: AbortSignal) {
    this.#channel = connect({ open: dialUnix(address) });
  }

  #options(namespace: string, lease?: string): CallOptions {
    const metadata = {
      "containerd-namespace": namespace,
      ...(lease === undefined ? {} : { "containerd-lease": lease }),
    };
    return { metadata, timeoutMs: answerMs, signal: this.signal };
  }

  /** Its root directory; undefined where it does not tell. */
  async root(): Promise<string | undefined> {
    const request = { filters: ["type==io.containerd.content.v1"] };
    const { plugins } = await this.#channel.client(IntrospectionDefinition).plugins(request, this.#options("default"));
    const place = plugins.find(({ id }) => id === "content")?.exports["root"];
    return place?.endsWith("/io.containerd.content.v1.content") === true
      ? place.slice(0, place.lastIndexOf("/"))
      : undefined;
  }

  async namespaces(): Promise<Namespace[]> {
    const { namespaces } = await this.#channel.client(NamespacesDefinition).list(
      { filter: "" },
      this.#options("default"),
    );
    return namespaces;
  }

  async images(namespace: string): Promise<Image[]> {
    return (await this.#channel.client(ImagesDefinition).list({ filters: [] }, this.#options(namespace))).images;
  }

  async containers(namespace: string): Promise<Container[]> {
    return (await this.#channel.client(ContainersDefinition).list({ filters: [] }, this.#options(namespace)))
      .containers;
  }

  /** Read at once, as the daemon keeps its database's pages while somebody lists. */
  async content(namespace: string): Promise<ContentInfo[]> {
    const answers = this.#channel.client(ContentDefinition).list({ filters: [] }, this.#options(namespace));
    return (await Array.fromAsync(answers, ({ info }) => info)).flat();
  }

  /** Its snapshotters that work. */
  async snapshotters(): Promise<StockSnapshotter[]> {
    const request = { filters: ["type==io.containerd.snapshotter.v1"] };
    const { plugins } = await this.#channel.client(IntrospectionDefinition).plugins(request, this.#options("default"));
    return plugins.filter(({ initErr }) => initErr === undefined)
      .map(({ id, exports }) => ({ name: id, directory: exports["root"] }));
  }

  /** As {@link content}. */
  async snapshots(namespace: string, snapshotter: string): Promise<SnapshotInfo[]> {
    const answers = this.#channel.client(SnapshotsDefinition)
      .list({ snapshotter, filters: [] }, this.#options(namespace));
    return (await Array.fromAsync(answers, ({ info }) => info)).flat();
  }

  /** Mounts of an active snapshot or a view. */
  async mounts(namespace: string, snapshotter: string, key: string): Promise<Mount[]> {
    const answer = await this.#channel.client(SnapshotsDefinition).mounts(
      { snapshotter, key },
      this.#options(namespace),
    );
    return answer.mounts;
  }

  /**
   * Makes views on committed snapshots under a lease of their own, which goes with them when the result is disposed of,
   * or after an hour where this process dies.
   */
  async views(namespace: string): Promise<StockViews> {
    const lease = `barge-adopt-${crypto.randomUUID()}`;
    const labels = { "containerd.io/gc.expire": new Date(Date.now() + leaseMs).toISOString() };
    await this.#channel.client(LeasesDefinition).create({ id: lease, labels }, this.#options(namespace));
    const snapshots = this.#channel.client(SnapshotsDefinition);
    const options = this.#options(namespace, lease);
    // An interruption does not leave them behind.
    const parting = { metadata: { "containerd-namespace": namespace }, timeoutMs: answerMs };
    return {
      lease,
      async mountsOn(snapshotter, parent) {
        const key = `barge-adopt-${crypto.randomUUID()}`;
        try {
          return (await snapshots.view({ snapshotter, key, parent, labels: {} }, options)).mounts;
        } finally {
          await snapshots.remove({ snapshotter, key }, parting).catch((error: unknown) => {
            // It was not made, and the reason for that is on its way.
            if (!isFailure(error, "NotFound")) throw error;
          });
        }
      },
      [Symbol.asyncDispose]: async () => {
        await this.#channel.client(LeasesDefinition).delete({ id: lease, sync: false }, parting);
      },
    };
  }

  async leases(namespace: string): Promise<Lease[]> {
    return (await this.#channel.client(LeasesDefinition).list({ filters: [] }, this.#options(namespace))).leases;
  }

  async resources(namespace: string, lease: string): Promise<Resource[]> {
    const answer = await this.#channel.client(LeasesDefinition).listResources({ id: lease }, this.#options(namespace));
    return answer.resources;
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}

/** What adoption asks, whoever answers. */
export type StockSide = Pick<
  StockDaemon,
  | "namespaces"
  | "content"
  | "snapshotters"
  | "snapshots"
  | "mounts"
  | "views"
  | "images"
  | "containers"
  | "leases"
  | "resources"
>;
