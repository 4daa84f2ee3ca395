import assert from "node:assert/strict";
import { type Code, isFailure, messageOf } from "../../api/errors.ts";
import type { Platform } from "../../api/oci/image_spec.ts";
import { archive } from "../diff/archive_fixture.ts";
import { collectOnce } from "../gc/collector.ts";
import { reapAbandoned } from "../leases/abandoned.ts";
import { overlayProblem } from "../snapshots/overlay_probe.ts";
import { openStore, type Store, Stores } from "../store.ts";
import { digestOf, MemoryImage, MemorySource } from "./image_fixture.ts";
import { viewImage } from "./image_view.ts";
import type { PullProgress } from "./progress.ts";
import { pull } from "./pull.ts";

const platform: Platform = { os: "linux", architecture: "amd64" };
const signal = new AbortController().signal;
const problem = Deno.uid() === 0 ? await overlayProblem(await Deno.realPath("/tmp")) : "needs root";

async function withRoot(body: (root: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-pull-" });
  try {
    await body(`${dir}/root`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

interface Case {
  readonly snapshotter: string;
  readonly store: Store;
}

/** A test on each snapshotter. */
function onEach(name: string, body: (test: Case) => Promise<void>): void {
  for (const snapshotter of ["overlayfs", "native"]) {
    Deno.test({
      name: `pull() to ${snapshotter} ${name}${problem === undefined ? "" : ` (${problem})`}`,
      ignore: problem !== undefined,
      fn: () =>
        withRoot(async (root) => {
          using store = await openStore(root);
          await body({ snapshotter, store });
        }),
    });
  }
}

/** Bytes that cannot be compressed, the same every time. */
const noise = (length: number, seed: number) => {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
};

/** Four layers: one is large, one removes, links to and writes below what others made, one is there twice. */
const tars = [
  archive(
    { name: "etc/", type: "5", mode: 0o755 },
    { name: "etc/one", data: "one" },
    { name: "gone", data: "x" },
    { name: "private/", type: "5", mode: 0o700, uid: 7, gid: 8 },
    { name: "private/file", data: "kept" },
  ),
  archive({ name: "large", data: noise(700_000, 1) }),
  archive(
    { name: ".wh.gone" },
    { name: "private/added", data: "added" },
    { name: "etc/two", data: "two" },
  ),
  archive({ name: "last", data: "last" }),
  archive({ name: "last", data: "last" }),
];

async function mountedView(
  store: Store,
  snapshotter: string,
  chain: string,
  body: (place: string) => void,
): Promise<void> {
  const key = `look-${crypto.randomUUID()}`;
  const [mount] = await store.snapshotter(snapshotter).view(key, { parent: chain });
  const place = await Deno.makeTempDir({ prefix: "barge-look-" });
  const { type, source, options } = mount!;
  const kind = type === "bind" ? ["--bind"] : ["-t", type, "-o", options.join(",")];
  assert.ok((await new Deno.Command("mount", { args: [...kind, source, place] }).output()).success);
  try {
    body(place);
  } finally {
    await new Deno.Command("umount", { args: [place] }).output();
    await Deno.remove(place);
    await store.snapshotter(snapshotter).remove(key);
  }
}

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

/**
 * Nothing is left of a pull but what has a name, and `ingests` unfinished downloads, or at most so many: where one layer
 * fails, it is chance how far the others are, and what has come of them stays for the next pull.
 */
function assertTidy(store: Store, snapshotter: string, ingests: number | { atMost: number } = 0): void {
  const { root, database } = store;
  assert.deepEqual(database.all("SELECT * FROM leases"), []);
  assert.deepEqual(database.all("SELECT * FROM snapshots WHERE kind != 'committed'"), []);
  const found = names(`${root}/io.containerd.content.v1.content/ingest`).length;
  if (typeof ingests === "number") assert.equal(found, ingests);
  else assert.ok(found <= ingests.atMost, `${found} ingests`);
  for (const part of ["leases", "trash", `io.containerd.snapshotter.v1.${snapshotter}/locks`]) {
    assert.deepEqual(names(`${root}/${part}`), [], part);
  }
  const places = names(`${root}/io.containerd.snapshotter.v1.${snapshotter}/snapshots`);
  assert.equal(places.length, database.get<{ n: number }>("SELECT count(*) AS n FROM snapshots")!.n);
}

/** Collects garbage, and gives the keys of what was removed. */
async function collected({ root, database }: Store): Promise<string[]> {
  const { removed } = await collectOnce(new Stores(root, database), undefined, signal);
  return removed.map(({ key }) => key);
}

onEach("stores and unpacks all layers, labels what it stored, and keeps it from being collected", async (test) => {
  const { store, snapshotter } = test;
  const image = new MemoryImage(tars);
  const source = new MemorySource(image);
  const events: PullProgress[] = [];
  const view = await pull(store, source, { platform, snapshotter, signal, progress: (event) => events.push(event) });
  assertTidy(store, snapshotter);
  assert.equal(view.manifestDigest, image.manifest.digest);
  assert.deepEqual(await collected(store), []);
  await mountedView(store, snapshotter, view.chainId!, (place) => {
    assert.deepEqual(names(place), ["etc", "large", "last", "private"]);
    assert.deepEqual(names(`${place}/etc`), ["one", "two"]);
    assert.deepEqual(names(`${place}/private`), ["added", "file"]);
    const { mode, uid, gid } = Deno.statSync(`${place}/private`);
    assert.deepEqual([mode! & 0o7777, uid, gid], [0o700, 7, 8], "a directory that the layer implied lost its owner");
    assert.deepEqual(Deno.readFileSync(`${place}/large`), noise(700_000, 1));
  });
  const labels = async (digest: typeof image.root.digest) => (await store.content.info(digest)).labels;
  const from = { "containerd.io/distribution.source.registry.test": "library/fixture" };
  assert.deepEqual(await labels(image.root.digest), {
    ...from,
    "containerd.io/gc.ref.content.m.0": image.manifest.digest,
  });
  assert.deepEqual(await labels(image.config.digest), {
    ...from,
    [`containerd.io/gc.ref.snapshot.${snapshotter}`]: view.chainId,
  });
  assert.deepEqual(await labels(image.layers[1]!.digest), {
    ...from,
    "containerd.io/uncompressed": digestOf(tars[1]!),
  });
  assert.equal((await labels(image.manifest.digest))["containerd.io/gc.ref.content.l.4"], image.layers[4]!.digest);
  const last = new Map(events.flatMap((e) => e.kind === "layer" ? [[e.digest, e.state]] : []));
  assert.ok([...last.values()].every((state) => state === "done"), [...last.values()].join());
  assert.deepEqual(await viewImage(store, source.name, { platform, snapshotter }), view);
});

onEach("fetches nothing again that is here, and unpacks from the store what is only stored", async (test) => {
  const { store, snapshotter } = test;
  const image = new MemoryImage(tars.slice(0, 3), { withoutIndex: true });
  const options = { platform, snapshotter, signal };
  const { chainId } = await pull(store, new MemorySource(image), options);
  const again = new MemorySource(image);
  await pull(store, again, options);
  assert.deepEqual(again.opened, []);
  await store.snapshotter(snapshotter).remove(chainId!);
  const third = new MemorySource(image);
  assert.equal((await pull(store, third, options)).chainId, chainId);
  assert.deepEqual(third.opened, []);
  assert.equal((await viewImage(store, third.name, options))?.unpacked, true);
  assertTidy(store, snapshotter);
});

for (const how of ["error", "end"] as const) {
  onEach(`goes on after a transfer that broke off by ${how}`, async ({ store, snapshotter }) => {
    const image = new MemoryImage(tars.slice(0, 2));
    const broken = new MemorySource(image);
    const { digest, size } = image.layers[1]!;
    broken.breakOff = { digest, after: 400_000, how };
    const options = { platform, snapshotter, signal };
    const pattern = how === "error" ? /was cut/ : new RegExp(`layer ${digest}.*ended after 400000 of ${size} bytes`);
    await assert.rejects(pull(store, broken, options), (e) => isFailure(e, "Unavailable") && pattern.test(e.message));
    assertTidy(store, snapshotter, { atMost: 2 });
    assert.equal(await store.images.find(broken.name), undefined);
    const whole = new MemorySource(image);
    await pull(store, whole, options);
    const resumed = whole.opened.find((request) => request.startsWith(digest))!;
    assert.equal(resumed, `${digest}@400000`);
    assertTidy(store, snapshotter);
  });
}

onEach("begins a download anew whose first part was damaged on disk", async ({ store, snapshotter }) => {
  const image = new MemoryImage(tars.slice(0, 2));
  const broken = new MemorySource(image);
  const { digest } = image.layers[1]!;
  broken.breakOff = { digest, after: 400_000, how: "end" };
  const options = { platform, snapshotter, signal };
  await assert.rejects(pull(store, broken, options));
  const ingests = `${store.root}/io.containerd.content.v1.content/ingest`;
  await Deno.writeFile(`${ingests}/${names(ingests)[0]}/data`, noise(300_000, 9));
  const whole = new MemorySource(image);
  await pull(store, whole, options);
  assert.deepEqual(whole.opened.filter((request) => request.startsWith(digest)), [`${digest}@300000`, `${digest}@0`]);
  assertTidy(store, snapshotter);
});

onEach("fetches a stored blob anew whose bytes have changed on disk", async ({ store, snapshotter }) => {
  const image = new MemoryImage(tars.slice(0, 2));
  const options = { platform, snapshotter, signal };
  const { chainId } = await pull(store, new MemorySource(image), options);
  const { digest, size } = image.layers[1]!;
  await Deno.chmod(store.content.path(digest), 0o644);
  await Deno.writeFile(store.content.path(digest), noise(size, 3));
  await store.snapshotter(snapshotter).remove(chainId!);
  const source = new MemorySource(image);
  await pull(store, source, options);
  assert.deepEqual(source.opened, [`${digest}@0`]);
  assert.equal(digestOf(await store.content.read(digest)), digest);
  assertTidy(store, snapshotter);
});

onEach("fetches stored documents anew whose bytes have changed on disk", async ({ store, snapshotter }) => {
  const image = new MemoryImage(tars.slice(0, 2));
  const options = { platform, snapshotter, signal };
  const { target, manifestDigest, manifest, name } = await pull(store, new MemorySource(image), options);
  for (const digest of new Set([target.digest, manifestDigest, manifest.config.digest])) {
    const path = store.content.path(digest);
    const bytes = await Deno.readFile(path);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.chmod(path, 0o644);
    await Deno.writeFile(path, bytes);
    await assert.rejects(viewImage(store, name, options), (error) => isFailure(error, "DataLoss"));
    const source = new MemorySource(image);
    await pull(store, source, options);
    assert.deepEqual(source.opened, [`${digest}@0`]);
    assert((await viewImage(store, name, options))?.unpacked);
  }
  assertTidy(store, snapshotter);
});

onEach("mends what another namespace has too", async ({ store, snapshotter }) => {
  const image = new MemoryImage(tars.slice(0, 2));
  const options = { platform, snapshotter, signal };
  const { manifestDigest, manifest, chainId } = await pull(store, new MemorySource(image), options);
  const other = new Stores(store.root, store.database).of("other");
  await pull(other, new MemorySource(image), options);
  for (const digest of [manifestDigest, manifest.config.digest, manifest.layers[1]!.digest]) {
    const path = store.content.path(digest);
    const bytes = await Deno.readFile(path);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.chmod(path, 0o644);
    await Deno.writeFile(path, bytes);
    await store.snapshotter(snapshotter).remove(chainId!);
    const source = new MemorySource(image);
    await pull(store, source, options);
    assert.deepEqual(source.opened, [`${digest}@0`]);
    for (const each of [store, other]) {
      assert.equal(digestOf(await each.content.read(digest)), digest);
      assert.equal((await each.content.info(digest)).digest, digest);
    }
    // Another may have mended it before we come to it.
    await other.content.deleteDamaged(digest, signal);
    assert.equal(digestOf(await store.content.read(digest)), digest);
  }
  assertTidy(store, snapshotter);
});

onEach("refuses what is not as its digest says, and leaves nothing", async ({ store, snapshotter }) => {
  const image = new MemoryImage(tars.slice(0, 2));
  const { digest, size } = image.layers[1]!;
  const other = Uint8Array.from(image.blobs.get(digest)!);
  const last = other.length - 100;
  other[last] = other[last]! ^ 0xff;
  const cases: [string, (source: MemorySource) => void, Code, RegExp][] = [
    ["layer", (s) => s.replaced = { digest, bytes: other }, "DataLoss", new RegExp(digest)],
    [
      "config",
      (s) => s.replaced = { digest: image.config.digest, bytes: new Uint8Array(image.config.size) },
      "DataLoss",
      /config .* other content/,
    ],
    ["longer layer", (s) => s.replaced = { digest, bytes: new Uint8Array(size + 1) }, "DataLoss", /more than its/],
  ];
  for (const [what, spoil, , pattern] of cases) {
    const source = new MemorySource(image);
    spoil(source);
    await assert.rejects(pull(store, source, { platform, snapshotter, signal }), (error) => {
      assert.match(messageOf(error), pattern, what);
      return true;
    });
    assertTidy(store, snapshotter, { atMost: image.layers.length - 1 });
    assert.equal(await store.images.find(source.name), undefined);
    assert.equal(await store.content.find(digest), undefined);
    await collected(store);
  }
  await pull(store, new MemorySource(image), { platform, snapshotter, signal });
});

onEach("compares diff ids before a layer counts, and says which is wrong", async ({ store, snapshotter }) => {
  const image = new MemoryImage(tars.slice(0, 2), { diffIds: [digestOf(tars[0]!), digestOf(tars[0]!)] });
  await assert.rejects(
    pull(store, new MemorySource(image), { platform, snapshotter, signal }),
    (e) => isFailure(e, "FailedPrecondition") && /^wrong diff id .* calculated on extraction/.test(e.message),
  );
  assertTidy(store, snapshotter, { atMost: 1 });
  await collected(store);
  assert.deepEqual(await store.snapshotter(snapshotter).list(), []);
  assert.deepEqual(await store.content.list(), []);
});

onEach("ends soon when its signal says so, and leaves what can be resumed", async ({ store, snapshotter }) => {
  const image = new MemoryImage(tars.slice(1, 2));
  const source = new MemorySource(image);
  const stop = new AbortController();
  source.beforeChunk = async (digest, offset) => {
    if (digest !== image.layers[0]!.digest || offset < 300_000) return;
    stop.abort(new DOMException("enough", "AbortError"));
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const options = { platform, snapshotter };
  await assert.rejects(pull(store, source, { ...options, signal: stop.signal }), { name: "AbortError" });
  assertTidy(store, snapshotter, 1);
  await pull(store, new MemorySource(image), { ...options, signal });
  assertTidy(store, snapshotter);
});

onEach("of two at once, also of two stores on one root, fetches each layer once", async ({ store, snapshotter }) => {
  using other = await openStore(store.root);
  const image = new MemoryImage(tars);
  const sources = [new MemorySource(image, "one"), new MemorySource(image, "two"), new MemorySource(image, "three")];
  for (const source of sources) source.beforeChunk = () => new Promise((resolve) => setTimeout(resolve, 1));
  const stores = [store, other, store];
  const views = await Promise.all(
    sources.map((source, i) => pull(stores[i]!, source, { platform, snapshotter, signal })),
  );
  assert.equal(new Set(views.map((view) => view.chainId)).size, 1);
  const fetched = sources.flatMap((source) => source.opened).filter((r) =>
    image.layers.some((l) => r.startsWith(l.digest))
  );
  assert.deepEqual(fetched.sort(), [...new Set(image.layers.map(({ digest }) => `${digest}@0`))].sort());
  assertTidy(store, snapshotter);
});

onEach("of an image for another machine says for which", async ({ store, snapshotter }) => {
  for (const withoutIndex of [false, true]) {
    const source = new MemorySource(new MemoryImage(tars.slice(0, 1), { architecture: "s390x", withoutIndex }));
    await assert.rejects(
      pull(store, source, { platform, snapshotter, signal }),
      (e) => isFailure(e, "NotFound") && /linux\/s390x/.test(e.message),
    );
  }
  assertTidy(store, snapshotter);
});

onEach("of an image without layers works", async ({ store, snapshotter }) => {
  const source = new MemorySource(new MemoryImage([]));
  const view = await pull(store, source, { platform, snapshotter, signal });
  assert.deepEqual([view.unpacked, view.chainId], [true, undefined]);
  assert.equal((await viewImage(store, source.name, { platform, snapshotter }))?.unpacked, true);
});

Deno.test({
  name: `pull() onto a full disk says so and gives the space back (${problem ?? "runs here"})`,
  ignore: problem !== undefined,
  fn: () =>
    withRoot(async (root) => {
      await Deno.mkdir(root, { recursive: true });
      const mount = ["-t", "tmpfs", "-o", "size=1500k", "barge-test", root];
      assert.ok((await new Deno.Command("mount", { args: mount }).output()).success);
      try {
        using store = await openStore(root);
        const image = new MemoryImage([tars[0]!, archive({ name: "too-large", data: noise(1_200_000, 5) })]);
        await assert.rejects(
          pull(store, new MemorySource(image), { platform, snapshotter: "overlayfs", signal }),
          (e) => isFailure(e, "ResourceExhausted") && /no space left/.test(e.message),
        );
        await reapAbandoned(store);
        assertTidy(store, "overlayfs", { atMost: image.layers.length - 1 });
        await pull(store, new MemorySource(new MemoryImage(tars.slice(0, 1))), {
          platform,
          snapshotter: "overlayfs",
          signal,
        });
      } finally {
        await new Deno.Command("umount", { args: ["-l", root] }).output();
      }
    }),
});
