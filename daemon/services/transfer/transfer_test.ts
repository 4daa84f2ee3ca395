import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { parseDigest } from "../../../api/digest.ts";
import { type Code, isFailure } from "../../../api/errors.ts";
import { Any } from "../../../api/gen/google/protobuf/any.ts";
import { StreamingDefinition, StreamInit } from "../../../api/gen/services/streaming/v1/streaming.ts";
import { TransferDefinition } from "../../../api/gen/services/transfer/v1/transfer.ts";
import { ImageStore } from "../../../api/gen/types/transfer/imagestore.ts";
import { Progress } from "../../../api/gen/types/transfer/progress.ts";
import { AuthRequest, AuthResponse, AuthType, OCIRegistry } from "../../../api/gen/types/transfer/registry.ts";
import type { ClientOf } from "../../../api/rpc/definition.ts";
import { inProcess } from "../../../api/rpc/in_process.ts";
import { archive } from "../../diff/archive_fixture.ts";
import { withStores } from "../../gc/garbage_fixture.ts";
import { MemoryImage } from "../../images/image_fixture.ts";
import type { Stores } from "../../store.ts";
import { StreamTable } from "../../streams/message_stream.ts";
import { ImagesService } from "../images.ts";
import { StreamingService } from "../streaming.ts";
import { TransferService } from "./transfer.ts";

const tar = archive({ name: "file", data: "content" });
const isCode = (code: Code, text: RegExp) => (error: unknown) => isFailure(error, code) && text.test(error.message);

interface Clients {
  readonly transfer: ClientOf<typeof TransferDefinition>;
  readonly streaming: ClientOf<typeof StreamingDefinition>;
}

function clients(stores: Stores): Clients {
  const streams = new StreamTable();
  const images = new ImagesService({
    stores,
    events: { publish: () => {} },
    collector: { collect: () => Promise.resolve() },
  });
  const metadata = { "containerd-namespace": "default" };
  return {
    transfer: inProcess(TransferDefinition, new TransferService({ stores, streams, images }), metadata),
    streaming: inProcess(StreamingDefinition, new StreamingService({ streams }), metadata),
  };
}

const registry = (reference: string, resolver = {}) =>
  Any.create({
    typeUrl: "containerd.types.transfer.OCIRegistry",
    value: OCIRegistry.encode(OCIRegistry.fromPartial({ reference, resolver: { defaultScheme: "http", ...resolver } }))
      .finish(),
  });
const store = (destination: Parameters<typeof ImageStore.fromPartial>[0]) =>
  Any.create({
    typeUrl: "type.googleapis.com/containerd.types.transfer.ImageStore",
    value: ImageStore.encode(ImageStore.fromPartial(destination)).finish(),
  });

/** A registry with one image, which wants a login if one is given. */
function serveImage(image: MemoryImage, login?: string): { host: string; stop: () => Promise<void> } {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    if (login !== undefined && request.headers.get("authorization") !== `Basic ${btoa(login)}`) {
      return new Response(null, { status: 401, headers: { "WWW-Authenticate": 'Basic realm="it"' } });
    }
    const name = decodeURIComponent(new URL(request.url).pathname.split("/").at(-1)!);
    if (name === "v2") return new Response();
    const { mediaType } = image.root;
    const described = [image.root, image.manifest].find(({ digest }) => digest === name) ??
      (name === "latest" ? { mediaType, digest: image.root.digest } : undefined);
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
function openStream(
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

Deno.test("TransferService pulls, unpacks and names an image, and tells its progress", () =>
  withStores(async (stores) => {
    const image = new MemoryImage([tar]);
    const { host, stop } = serveImage(image);
    const client = clients(stores);
    const progress = openStream(client, "progress-1");
    await progress.ready;
    await client.transfer.transfer({
      source: registry(`${host}/app:latest`),
      destination: store({
        name: "it",
        labels: { a: "b" },
        platforms: [{ os: "linux", architecture: "amd64" }],
        unpacks: [{ platform: { os: "linux", architecture: "amd64" }, snapshotter: "native" }],
        extraReferences: [{ name: "it", addDigest: true }],
      }),
      options: { progressStream: "progress-1" },
    });
    await progress.ended;
    await stop();
    const view = stores.of("default");
    const info = await view.images.get("it");
    deepEqual([info.target.digest, info.labels], [image.root.digest, { a: "b" }]);
    ok(await view.images.find(`it@${image.root.digest}`));
    equal((await view.snapshotter("native").list()).length, 1);
    equal((await view.content.list()).length, image.blobs.size);
    deepEqual(await view.leases.list(), []);
    const told = progress.messages.map(({ value }) => Progress.decode(value));
    const events = told.map(({ event }) => event);
    for (
      const event of [
        "Resolving from OCI Registry",
        "Pulling from",
        "fetching image content",
        "saved",
        "Completed pull",
      ]
    ) ok(events.some((other) => other.startsWith(event)), `${event} is not in ${events}`);
    ok(told.some(({ event, desc }) => event === "complete" && desc?.digest === image.layers[0]!.digest));
  }));

Deno.test("TransferService asks the client's stream for a login, and says when there is none", () =>
  withStores(async (stores) => {
    const { host, stop } = serveImage(new MemoryImage([tar]), "me:secret");
    const client = clients(stores);
    const destination = store({ name: "it" });
    await rejects(
      client.transfer.transfer({ source: registry(`${host}/app:latest`), destination, options: undefined }),
      isCode("Unauthenticated", /./),
    );
    const asked: string[] = [];
    const creds = openStream(client, "creds", ({ value }) => {
      const { host, reference } = AuthRequest.decode(value);
      asked.push(`${host} ${reference}`);
      const answer = AuthResponse.fromPartial({ authType: AuthType.CREDENTIALS, username: "me", secret: "secret" });
      return Any.create({
        typeUrl: "containerd.types.transfer.AuthResponse",
        value: AuthResponse.encode(answer).finish(),
      });
    });
    await creds.ready;
    const source = registry(`${host}/app:latest`, { authStream: "creds" });
    await client.transfer.transfer({ source, destination, options: undefined });
    deepEqual(asked, [`${host} ${host}/app:latest`]);
    ok(await stores.of("default").images.find("it"));
    await stop();
  }));

Deno.test("TransferService tags, and says what it cannot do", () =>
  withStores(async (stores) => {
    const { transfer } = clients(stores);
    const options = undefined;
    await rejects(
      transfer.transfer({ source: store({ name: "a" }), destination: store({ name: "b" }), options }),
      isCode("NotFound", /image "a"/),
    );
    const { digest, size, mediaType } = new MemoryImage([tar]).manifest;
    await stores.of("default").images.put("a", { digest, size, mediaType });
    await transfer.transfer({ source: store({ name: "a" }), destination: store({ name: "b" }), options });
    equal((await stores.of("default").images.get("b")).target.digest, digest);
    await rejects(
      transfer.transfer({ source: store({ name: "a" }), destination: registry("x.test/a"), options }),
      isCode("NotImplemented", /^method Transfer not implemented for containerd.types.transfer.ImageStore to /),
    );
    await rejects(
      transfer.transfer({
        source: registry("x.test/a", { hostDir: "/etc" }),
        destination: store({ name: "b" }),
        options,
      }),
      isCode("NotImplemented", /directory of hosts/),
    );
    await rejects(
      transfer.transfer({
        source: store({ name: "a" }),
        destination: store({ name: "b" }),
        options: { progressStream: "none" },
      }),
      isCode("NotFound", /stream "none"/),
    );
  }));

Deno.test("StreamingService refuses a second stream of the same name, and forgets one that has ended", () =>
  withStores(async (stores) => {
    const client = clients(stores);
    const image = new MemoryImage([tar]).manifest;
    await stores.of("default").images.put("a", image);
    const first = openStream(client, "one");
    await first.ready;
    const second = openStream(client, "one");
    await rejects(second.ended, isCode("AlreadyExists", /stream "one"/));
    await rejects(second.ready, isCode("AlreadyExists", /./));
    const options = { progressStream: "one" };
    await client.transfer.transfer({ source: store({ name: "a" }), destination: store({ name: "b" }), options });
    await first.ended;
    await rejects(
      client.transfer.transfer({ source: store({ name: "a" }), destination: store({ name: "b" }), options }),
      isCode("NotFound", /stream "one"/),
    );
  }));
