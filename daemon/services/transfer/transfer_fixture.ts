/**
 * Registries, streams and services for tests of transfers.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { parseDigest } from "../../../api/digest.ts";
import { type Code, isFailure } from "../../../api/errors.ts";
import { Any } from "../../../api/gen/google/protobuf/any.ts";
import { StreamingDefinition, StreamInit } from "../../../api/gen/services/streaming/v1/streaming.ts";
import { TransferDefinition } from "../../../api/gen/services/transfer/v1/transfer.ts";
import { ImageStore } from "../../../api/gen/types/transfer/imagestore.ts";
import { OCIRegistry } from "../../../api/gen/types/transfer/registry.ts";
import { type Descriptor, mediaTypes } from "../../../api/oci/image_spec.ts";
import type { ClientOf } from "../../../api/rpc/definition.ts";
import { inProcess } from "../../../api/rpc/in_process.ts";
import { archive } from "../../diff/archive_fixture.ts";
import { MemoryImage } from "../../images/image_fixture.ts";
import { Logger } from "../../log/logger.ts";
import type { Stores } from "../../store.ts";
import { StreamTable } from "../../streams/message_stream.ts";
import { ImagesService } from "../images.ts";
import type { Publisher } from "../parts.ts";
import { StreamingService } from "../streaming.ts";
import { TransferService } from "./transfer.ts";

/** A layer beside {@link tar}. */
export const other = archive({ name: "other", data: "content" });
/** Says nothing. */
export const log = Logger.to({ target: { write: () => {}, reopen: () => {} } });
/** A layer. */
export const tar = archive({ name: "file", data: "content" });
/** Whether an error has that code, and words that match. */
export const isCode = (code: Code, text: RegExp): (error: unknown) => boolean => (error: unknown): boolean =>
  isFailure(error, code) && text.test(error.message);

/** The services, as clients call them. */
export interface Clients {
  readonly transfer: ClientOf<typeof TransferDefinition>;
  readonly streaming: ClientOf<typeof StreamingDefinition>;
}

/** Services over the stores. */
export function clients(
  stores: Stores,
  publish: Publisher["publish"] = () => {},
  more: { atOnce?: number; hostOnly?: boolean } = {},
): Clients {
  const streams = new StreamTable();
  const images = new ImagesService({
    stores,
    events: { publish: () => {} },
    collector: { collect: () => Promise.resolve() },
  });
  const metadata = { "containerd-namespace": "default" };
  return {
    transfer: inProcess(
      TransferDefinition,
      new TransferService({ stores, streams, images, events: { publish }, log, ...more }),
      metadata,
    ),
    streaming: inProcess(StreamingDefinition, new StreamingService({ streams }), metadata),
  };
}

/** A source: an image of a registry without TLS. */
export const registry = (reference: string, resolver = {}): Any =>
  Any.create({
    typeUrl: "containerd.types.transfer.OCIRegistry",
    value: OCIRegistry.encode(OCIRegistry.fromPartial({ reference, resolver: { defaultScheme: "http", ...resolver } }))
      .finish(),
  });
/** A destination: a name in the image store. */
export const store = (destination: Parameters<typeof ImageStore.fromPartial>[0]): Any =>
  Any.create({
    typeUrl: "type.googleapis.com/containerd.types.transfer.ImageStore",
    value: ImageStore.encode(ImageStore.fromPartial(destination)).finish(),
  });

/** An image for two platforms. */
export function twoPlatforms(): Served & { readonly images: readonly [MemoryImage, MemoryImage] } {
  const images = [new MemoryImage([tar, other]), new MemoryImage([tar], { architecture: "arm64" })] as const;
  const manifests = images.map(({ manifest }, index) => ({
    ...manifest,
    platform: { os: "linux", architecture: index === 0 ? "amd64" : "arm64" },
  }));
  const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests }));
  const digest = parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  const root = { mediaType: mediaTypes.ociIndex, digest, size: bytes.length };
  const blobs = new Map([...images[0].blobs, ...images[1].blobs, [digest, bytes] as const]);
  return { images, root, blobs, manifests: images.map(({ manifest }) => manifest) };
}

/** What a registry has. */
export interface Served {
  readonly root: Descriptor;
  readonly blobs: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly manifests: readonly Descriptor[];
}

/** A registry with one image, which wants a login if one is given. */
export function serveImage(
  given: MemoryImage | Served,
  login?: string,
  before: (digest: string) => Promise<void> = () => Promise.resolve(),
): { host: string; stop: () => Promise<void> } {
  const image = "manifests" in given ? given : { ...given, manifests: [given.manifest], blobs: given.blobs };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    if (login !== undefined && request.headers.get("authorization") !== `Basic ${btoa(login)}`) {
      return new Response(null, { status: 401, headers: { "WWW-Authenticate": 'Basic realm="it"' } });
    }
    const name = decodeURIComponent(new URL(request.url).pathname.split("/").at(-1)!);
    if (name === "v2") return new Response();
    const { mediaType } = image.root;
    const described = [image.root, ...image.manifests].find(({ digest }) => digest === name) ??
      (name === "latest" ? { mediaType, digest: image.root.digest } : undefined);
    if (described === undefined) await before(name);
    const bytes = image.blobs.get(described?.digest ?? parseDigest(name));
    if (bytes === undefined) return new Response(null, { status: 404 });
    const headers: Record<string, string> = { "Content-Length": String(bytes.length) };
    if (described !== undefined) {
      headers["Content-Type"] = described.mediaType;
      headers["Docker-Content-Digest"] = described.digest;
    }
    return new Response(request.method === "HEAD" ? null : bytes, { headers });
  });
  return { host: `127.0.0.1:${server.addr.port}`, stop: () => server.shutdown() };
}

/** Opens a stream; `answer` may reply to each of its messages. */
export function openStream(
  { streaming }: Clients,
  id: string,
  answer: (message: Any) => Any | undefined = () => undefined,
): { messages: Any[]; ready: Promise<void>; ended: Promise<void> } {
  const messages: Any[] = [];
  const replies: Any[] = [Any.create({
    typeUrl: "containerd.services.streaming.v1.StreamInit",
    value: StreamInit.encode({ id }).finish(),
  })];
  const ready = Promise.withResolvers<void>();
  let wake = Promise.withResolvers<void>();
  let open = true;
  async function* requests() {
    while (open) {
      for (let reply = replies.shift(); reply !== undefined; reply = replies.shift()) yield reply;
      await wake.promise;
      wake = Promise.withResolvers();
    }
  }
  const read = async () => {
    for await (const message of streaming.stream(requests())) {
      if (message.typeUrl === "google.protobuf.Empty") {
        ready.resolve();
        continue;
      }
      messages.push(message);
      const reply = answer(message);
      if (reply !== undefined) replies.push(reply);
      wake.resolve();
    }
    open = false;
    wake.resolve();
  };
  const ended = read();
  ended.catch(ready.reject);
  return { messages, ready: ready.promise, ended };
}
