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
import type { Mount } from "../../api/gen/types/mount.ts";
import type { CallOptions } from "../../api/rpc/definition.ts";

/** Time for one answer, in milliseconds. */
const answerMs = 60_000;
/** Something that goes wrong leaves the lease of our views for so long at most. */
const leaseMs = 3_600_000;

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

  async *content(namespace: string): AsyncGenerator<ContentInfo> {
    const answers = this.#channel.client(ContentDefinition).list({ filters: [] }, this.#options(namespace));
    for await (const { info } of answers) yield* info;
  }

  async *snapshots(namespace: string, snapshotter: string): AsyncGenerator<SnapshotInfo> {
    const answers = this.#channel.client(SnapshotsDefinition)
      .list({ snapshotter, filters: [] }, this.#options(namespace));
    for await (const { info } of answers) yield* info;
  }

  /** Mounts of an active snapshot or a view. */
  async mounts(namespace: string, snapshotter: string, key: string): Promise<Mount[]> {
    const answer = await this.#channel.client(SnapshotsDefinition).mounts(
      { snapshotter, key },
      this.#options(namespace),
    );
    return answer.mounts;
  }

  /** Mounts of a view on a committed snapshot, which is made for that and removed again. */
  async mountsOfView(namespace: string, snapshotter: string, parent: string): Promise<Mount[]> {
    const leases = this.#channel.client(LeasesDefinition);
    const snapshots = this.#channel.client(SnapshotsDefinition);
    const key = `barge-adopt-${crypto.randomUUID()}`;
    const labels = { "containerd.io/gc.expire": new Date(Date.now() + leaseMs).toISOString() };
    await leases.create({ id: key, labels }, this.#options(namespace));
    try {
      const { mounts } = await snapshots.view({ snapshotter, key, parent, labels: {} }, this.#options(namespace, key));
      await snapshots.remove({ snapshotter, key }, this.#options(namespace));
      return mounts;
    } finally {
      await leases.delete({ id: key, sync: false }, this.#options(namespace));
    }
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
