/**
 * A client of a daemon with all that the tests of faults ask for.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Code, isFailure } from "../../api/errors.ts";
import { Container, ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import { ContentDefinition, WriteAction } from "../../api/gen/services/content/v1/content.ts";
import { EventsDefinition } from "../../api/gen/services/events/v1/events.ts";
import { Image, ImagesDefinition } from "../../api/gen/services/images/v1/images.ts";
import { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import { NamespacesDefinition } from "../../api/gen/services/namespaces/v1/namespace.ts";
import { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { VersionDefinition } from "../../api/gen/services/version/v1/version.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { bytesOf, digestOf, WriteStream } from "../content/content_client.ts";

/** Keeps an object that nothing refers to. */
export const kept = { "containerd.io/gc.root": "test" } as const;

/** One connection to the daemon at a socket, in one namespace. */
export class DaemonClient implements Disposable {
  readonly #channel;
  readonly images;
  readonly containers;
  readonly content;
  readonly events;
  readonly leases;
  readonly namespaces;
  readonly snapshots;
  readonly version;

  /** An empty namespace: none is said. */
  constructor(address: string, readonly namespace = "default") {
    const metadata = namespace === "" ? {} : { "containerd-namespace": namespace };
    this.#channel = connect({ open: dialUnix(address), metadata });
    this.images = this.#channel.client(ImagesDefinition);
    this.containers = this.#channel.client(ContainersDefinition);
    this.content = this.#channel.client(ContentDefinition);
    this.events = this.#channel.client(EventsDefinition);
    this.leases = this.#channel.client(LeasesDefinition);
    this.namespaces = this.#channel.client(NamespacesDefinition);
    this.snapshots = this.#channel.client(SnapshotsDefinition);
    this.version = this.#channel.client(VersionDefinition);
  }

  /** Stores a blob that garbage collection keeps, and gives its digest. */
  async putBlob(data: Uint8Array | string, ref: string = crypto.randomUUID()): Promise<string> {
    const bytes = typeof data === "string" ? bytesOf(data) : data;
    const expected = digestOf(bytes);
    await using stream = new WriteStream(this.content);
    const total = bytes.length;
    // Messages have a limit, which this is well below.
    const step = 1 << 20;
    for (let offset = 0; offset + step < total; offset += step) {
      await stream.say({ action: WriteAction.WRITE, ref, offset, data: bytes.subarray(offset, offset + step) });
    }
    const offset = Math.max(0, Math.ceil(total / step) - 1) * step;
    const last = { ref, expected, total, offset, data: bytes.subarray(offset), labels: kept };
    assert(await stream.say({ action: WriteAction.COMMIT, ...last }) !== undefined);
    await stream.end();
    return expected;
  }

  /** All bytes of a blob. */
  async getBlob(digest: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const { data } of this.content.read({ digest, offset: 0, size: 0 })) parts.push(data);
    return new Uint8Array(await new Blob(parts.map((part) => new Uint8Array(part))).arrayBuffer());
  }

  /** Gives a name to a blob. */
  async putImage(name: string, digest: string, labels: Record<string, string> = {}): Promise<void> {
    await this.images.create({ image: imageOf(name, digest, labels), sourceDateEpoch: undefined });
  }

  /** Waits for a whole collection. */
  async collect(): Promise<void> {
    const { lease } = await this.leases.create({ id: "", labels: {} });
    await this.leases.delete({ id: lease!.id, sync: true });
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}

/** An image's record. */
export function imageOf(name: string, digest: string, labels: Record<string, string> = {}): Image {
  const target = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 1 };
  return Image.fromPartial({ name, labels, target });
}

/** A container's record. */
export function containerOf(id: string, labels: Record<string, string> = {}): Container {
  const spec = { typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Spec", value: bytesOf("{}") };
  return Container.fromPartial({ id, labels, runtime: { name: "io.containerd.runc.v2" }, spec });
}

/** Checks that a call fails with the code and a text. */
export async function fails(promise: Promise<unknown>, code: Code, text: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert(isFailure(error, code), `not ${code}: ${error}`);
    assert.match(error.message, text);
    return true;
  });
}
