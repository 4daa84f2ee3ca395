import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type Code } from "../../../api/errors.ts";
import { Any } from "../../../api/gen/google/protobuf/any.ts";
import { Progress } from "../../../api/gen/types/transfer/progress.ts";
import { AuthRequest, AuthResponse, AuthType } from "../../../api/gen/types/transfer/registry.ts";
import { type Descriptor } from "../../../api/oci/image_spec.ts";
import { archive } from "../../diff/archive_fixture.ts";
import { withStores } from "../../gc/garbage_fixture.ts";
import { MemoryImage } from "../../images/image_fixture.ts";
import { eventKinds } from "../event_kinds.ts";
import {
  clients,
  isCode,
  openStream,
  other,
  registry,
  serveImage,
  store,
  tar,
  twoPlatforms,
} from "./transfer_fixture.ts";

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
    const refused: [Parameters<typeof registry>[1], Code, RegExp][] = [
      [{ hostDir: "certs.d" }, "InvalidArgument", /directory of hosts "certs.d": want an absolute path/],
      [{ headers: { "a b": "c" } }, "InvalidArgument", /the headers "a b": want/],
      [{ defaultScheme: "ftp" }, "InvalidArgument", /the scheme "ftp"/],
      [{ httpDebug: 1 }, "NotImplemented", /log of HTTP/],
    ];
    for (const [resolver, code, text] of refused) {
      const source = registry("x.test/a", resolver);
      await rejects(transfer.transfer({ source, destination: store({ name: "b" }), options }), isCode(code, text));
    }
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

Deno.test("TransferService tells the whole tree of an image as containerd does", () =>
  withStores(async (stores) => {
    const image = twoPlatforms();
    const { host, stop } = serveImage(image);
    const client = clients(stores);
    const reference = `${host}/app:latest`;
    const pull = async (id: string, destination: Parameters<typeof store>[0]) => {
      const progress = openStream(client, id);
      await progress.ready;
      const options = { progressStream: id };
      await client.transfer.transfer({ source: registry(reference), destination: store(destination), options });
      await progress.ended;
      const told = progress.messages.map(({ value }) => Progress.decode(value));
      // Blobs come side by side: only the order of each one's own events is sure.
      const lines = new Map<string, unknown[]>();
      for (const { event, name, parents, progress, total, desc } of told) {
        if (event === "downloading") continue;
        const line = lines.get(name) ?? [];
        lines.set(name, [...line, [event, parents, progress, total, desc?.digest ?? ""]]);
      }
      return lines;
    };
    const platform = { os: "linux", architecture: "amd64" };
    const destination = { name: "it", platforms: [platform], unpacks: [{ platform, snapshotter: "native" }] };
    const { root, images: [{ manifest, config, layers }] } = image;
    const [index, wanted] = [`index-${root.digest}`, `manifest-${manifest.digest}`];
    const whole = ["Resolving", "Pulling", "Completed pull"].map((what) => [
      `${what} from OCI Registry (${reference})`,
      [],
      0,
      0,
      "",
    ]);
    const stored = (name: string, parent: string, { digest, size }: Descriptor, more: readonly string[] = []) =>
      [name, [
        ["waiting", [parent], 0, size, digest],
        ["complete", [parent], size, size, digest],
        ...more.map((event) => [event, [parent], size, size, digest]),
      ]] as const;
    deepEqual(
      await pull("first", destination),
      new Map<string, unknown>([
        ["", whole],
        [reference, [["fetching image content", [], 0, 0, root.digest]]],
        stored(index, reference, root),
        stored(wanted, index, manifest),
        stored(`config-${config.digest}`, wanted, config),
        ...layers.map((layer) => stored(`layer-${layer.digest}`, wanted, layer, ["extracting", "extracted"])),
        ["it", [["saved", [], 0, 0, root.digest]]],
      ]),
    );
    const there = (name: string, parent: string, { digest, size }: Descriptor) =>
      [name, [["waiting", [parent], 0, size, digest], ["already exists", [], size, size, digest]]] as const;
    deepEqual(
      await pull("second", destination),
      new Map<string, unknown>([
        ["", whole],
        [reference, [["fetching image content", [], 0, 0, root.digest]]],
        there(index, reference, root),
        there(wanted, index, manifest),
        there(`config-${config.digest}`, wanted, config),
        ...layers.map((layer) => there(`layer-${layer.digest}`, wanted, layer)),
        ["it", [["saved", [], 0, 0, root.digest]]],
      ]),
    );
    await stop();
  }));

Deno.test("TransferService publishes events of the content and the snapshots that it adds", () =>
  withStores(async (stores) => {
    const image = new MemoryImage([tar, other]);
    const { host, stop } = serveImage(image);
    const kinds = new Map(Object.values(eventKinds).map(({ typeUrl, message }) => [typeUrl, message]));
    const published: { topic: string; message: Record<string, unknown> }[] = [];
    const client = clients(stores, (namespace, topic, { typeUrl, value }) => {
      equal(namespace, "default");
      // Each kind's message is an object of its own type.
      published.push({ topic, message: kinds.get(typeUrl)!.decode(value) as unknown as Record<string, unknown> });
    });
    const pull = () =>
      client.transfer.transfer({
        source: registry(`${host}/app:latest`),
        destination: store({ name: "it", unpacks: [{ snapshotter: "native" }] }),
        options: undefined,
      });
    await pull();
    await stop();
    const of = (topic: string) => published.filter((event) => event.topic === topic).map(({ message }) => message);
    deepEqual(
      of("/content/create").map(({ digest, size }) => [digest, size]).sort(),
      [...image.blobs].map(([digest, bytes]) => [digest, bytes.length]).sort(),
    );
    const [prepared, committed] = [of("/snapshot/prepare"), of("/snapshot/commit")];
    const view = stores.of("default");
    const layers = await view.snapshotter("native").list();
    deepEqual(committed.map(({ name }) => name).sort(), layers.map(({ key }) => key).sort());
    deepEqual(prepared.map(({ key }) => key), committed.map(({ key }) => key));
    deepEqual(prepared.map(({ parent }) => parent), ["", committed[0]!["name"]]);
    ok([...prepared, ...committed].every(({ snapshotter }) => snapshotter === "native"));
  }));

Deno.test("TransferService with all metadata fetches the documents of other platforms, and without only its own", () =>
  withStores(async (stores) => {
    const image = twoPlatforms();
    const { host, stop } = serveImage(image);
    const client = clients(stores);
    const { root, images: [amd64, arm64] } = image;
    const pull = async (allMetadata: boolean) => {
      const platforms = [{ os: "linux", architecture: "amd64" }];
      const destination = store({ name: "it", allMetadata, platforms });
      await client.transfer.transfer({ source: registry(`${host}/app:latest`), destination, options: undefined });
      return (await stores.of("default").content.list()).map(({ digest }) => digest).sort();
    };
    const own = [root, amd64.manifest, amd64.config, ...amd64.layers].map(({ digest }) => digest);
    deepEqual(await pull(false), own.sort());
    // All children are labelled, as whoever fetches the rest later finds them kept.
    deepEqual(
      (await stores.of("default").content.info(root.digest)).labels["containerd.io/gc.ref.content.m.1"],
      arm64.manifest.digest,
    );
    deepEqual(await pull(true), [...own, arm64.manifest.digest, arm64.config.digest].sort());
    await stop();
  }));

Deno.test("TransferService asks the hosts that the client's directory names, and refuses an unknown snapshotter", () =>
  withStores(async (stores) => {
    const image = new MemoryImage([tar]);
    const { host, stop } = serveImage(image);
    const { transfer } = clients(stores);
    const hostDir = await Deno.makeTempDir({ prefix: "barge-hosts-" });
    await Deno.mkdir(`${hostDir}/registry.test`);
    await Deno.writeTextFile(`${hostDir}/registry.test/hosts.toml`, `[host."http://${host}"]`);
    const pull = (snapshotter: string) =>
      transfer.transfer({
        source: registry("registry.test/app:latest", { hostDir, defaultScheme: "" }),
        destination: store({ name: "it", unpacks: [{ snapshotter }] }),
        options: undefined,
      });
    await rejects(
      pull("stargz"),
      isCode("InvalidArgument", /no unpack platforms defined: snapshotter not loaded: stargz: want one of .*native/),
    );
    deepEqual(await stores.of("default").content.list(), []);
    await pull("native");
    ok(await stores.of("default").images.find("it"));
    await stop();
    await Deno.remove(hostDir, { recursive: true });
  }));

Deno.test("TransferService fetches as many layers at once as it is told, and unpacks for this host only where it is to", () =>
  withStores(async (stores) => {
    const image = new MemoryImage(Array.from({ length: 6 }, (_, i) => archive({ name: `file${i}`, data: `${i}` })));
    const layers = new Set<string>(image.layers.map(({ digest }) => digest));
    let running = 0, most = 0;
    const { host, stop } = serveImage(image, undefined, async (digest) => {
      if (!layers.has(digest)) return;
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 30));
      running--;
    });
    const { transfer } = clients(stores, () => {}, { atOnce: 1, hostOnly: true });
    const pull = (unpacks: { platform?: { os: string; architecture: string }; snapshotter: string }[]) =>
      transfer.transfer({
        source: registry(`${host}/app:latest`),
        destination: store({ name: "it", unpacks }),
        options: undefined,
      });
    await rejects(
      pull([{ platform: { os: "linux", architecture: "s390x" }, snapshotter: "native" }]),
      isCode("InvalidArgument", /this host does not run linux\/s390x/),
    );
    await pull([]);
    equal(most, 1);
    await stop();
  }));
