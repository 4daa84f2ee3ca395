import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { type Digest, parseDigest } from "../api/digest.ts";
import { isFailure } from "../api/errors.ts";
import { mediaTypes } from "../api/oci/image_spec.ts";
import { unpackedLabel, viewImage } from "./images/image_view.ts";
import { reapAbandoned } from "./leases/abandoned.ts";
import { openStore, type Store } from "./store.ts";

const signal = new AbortController().signal;
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const digestOf = (data: Uint8Array): Digest => parseDigest("sha256:" + createHash("sha256").update(data).digest("hex"));

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-store-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const withStore = (body: (store: Store) => Promise<void>) =>
  inTempDir(async (dir) => {
    using store = await openStore(`${dir}/root`);
    await body(store);
  });

const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
const isCode = (code: Parameters<typeof isFailure>[1], text?: RegExp) => (error: unknown) =>
  isFailure(error, code) && (text === undefined || text.test(error.message));

/** A small image as a pull leaves it, whose only layer is the snapshot `chain`. */
async function putImage(store: Store, name: string, chain: string): Promise<Digest> {
  const put = async (value: unknown, labels: Record<string, string>) => {
    const data = bytes(value), expected = digestOf(data);
    await store.content.put(`put-${expected}`, data, { expected, size: data.length, labels, signal });
    return { digest: expected, size: data.length };
  };
  const layer = { mediaType: mediaTypes.ociLayer, digest: digestOf(bytes("layer")), size: 7 };
  await store.snapshotter("native").prepare(`extract ${chain}`);
  await store.snapshotter("native").commit(`extract ${chain}`, chain);
  const config = {
    mediaType: mediaTypes.ociConfig,
    ...await put({
      os: "linux",
      architecture: "amd64",
      config: { Cmd: [name] },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    }, {
      [unpackedLabel("native")]: chain,
    }),
  };
  const manifest = {
    mediaType: mediaTypes.ociManifest,
    ...await put({ schemaVersion: 2, config, layers: [layer] }, {
      "containerd.io/gc.ref.content.config": config.digest,
    }),
  };
  const platform = { os: "linux", architecture: "amd64" };
  const index = {
    mediaType: mediaTypes.ociIndex,
    ...await put({ schemaVersion: 2, manifests: [{ ...manifest, platform }] }, {
      "containerd.io/gc.ref.content.m.0": manifest.digest,
    }),
  };
  await store.images.put(name, index);
  return manifest.digest;
}

Deno.test("openStore() makes containerd's layout, and opens it again", () =>
  inTempDir(async (dir) => {
    (await openStore(`${dir}/root`)).close();
    (await openStore(`${dir}/root`)).close();
    assert.deepEqual(names(`${dir}/root`), [
      "io.barge.metadata.v1.sqlite",
      "io.containerd.content.v1.content",
      "io.containerd.snapshotter.v1.native",
      "io.containerd.snapshotter.v1.overlayfs",
      "leases",
      "trash",
    ]);
    assert.deepEqual(names(`${dir}/root/io.containerd.content.v1.content`), ["blobs", "ingest"]);
  }));

Deno.test("openStore() refuses a stock containerd's root, a file, a relative path, and separators", () =>
  inTempDir(async (dir) => {
    await Deno.mkdir(`${dir}/stock/io.containerd.metadata.v1.bolt`, { recursive: true });
    await Deno.writeTextFile(`${dir}/stock/io.containerd.metadata.v1.bolt/meta.db`, "");
    await assert.rejects(openStore(`${dir}/stock`), isCode("FailedPrecondition", /stock containerd/));
    assert.deepEqual(names(`${dir}/stock`), ["io.containerd.metadata.v1.bolt"]);
    await Deno.writeTextFile(`${dir}/file`, "");
    await assert.rejects(openStore(`${dir}/file`), isCode("FailedPrecondition", /not a directory/));
    for (const root of ["relative", `${dir}/a,b`, `${dir}/a\\b`, `${dir}/a\nb`]) {
      await assert.rejects(openStore(root), isCode("InvalidArgument"));
    }
  }));

Deno.test("openStore() refuses the store of a newer barge", () =>
  inTempDir(async (dir) => {
    (await openStore(`${dir}/root`)).close();
    const raw = new DatabaseSync(`${dir}/root/io.barge.metadata.v1.sqlite/meta.db`);
    raw.exec("PRAGMA user_version = 99");
    raw.close();
    await assert.rejects(openStore(`${dir}/root`), isCode("FailedPrecondition", /newer barge/));
  }));

Deno.test({
  name: "openStore() tells a read-only disk and a full one (needs root for a small tmpfs)",
  ignore: Deno.uid() !== 0,
  fn: () =>
    inTempDir(async (dir) => {
      const run = async (...words: string[]) => {
        assert.ok((await new Deno.Command(words[0]!, { args: words.slice(1) }).output()).success, words.join(" "));
      };
      await Deno.mkdir(`${dir}/disk`);
      await run("mount", "-t", "tmpfs", "-o", "size=256k", "barge-test", `${dir}/disk`);
      try {
        (await openStore(`${dir}/disk/made`)).close();
        await run("mount", "-o", "remount,ro", `${dir}/disk`);
        await assert.rejects(openStore(`${dir}/disk/new`), isCode("FailedPrecondition", /read-only/));
        {
          // An existing store may be looked at, but nothing can be written to it.
          const opened = await openStore(`${dir}/disk/made`).catch((error: unknown) => error);
          if (opened instanceof Error) assert.ok(isCode("FailedPrecondition", /read-only/)(opened), opened.message);
          else {
            using store = opened as Store;
            await assert.rejects(store.leases.create("x"), isCode("FailedPrecondition", /read-only/));
          }
        }
        await run("mount", "-o", "remount,rw", `${dir}/disk`);
        await Deno.writeFile(`${dir}/disk/filler`, new Uint8Array(1 << 20)).catch(() => {});
        await assert.rejects(
          openStore(`${dir}/disk/another`).then(async (store) => {
            using _closed = store;
            await store.leases.create("x");
          }),
          isCode("ResourceExhausted", /no space left/),
        );
      } finally {
        await run("umount", `${dir}/disk`);
      }
    }),
});

Deno.test({
  name: "openStore() says that it may not write (needs root to become somebody else)",
  ignore: Deno.uid() !== 0,
  fn: () =>
    inTempDir(async (dir) => {
      await Deno.chmod(dir, 0o755);
      const program = `import { openStore } from ${JSON.stringify(new URL("./store.ts", import.meta.url).href)};
        try { await openStore(${
        JSON.stringify(`${dir}/root`)
      }); } catch (error) { console.log(error.code, error.message); }`;
      await Deno.writeTextFile(`${dir}/program.ts`, program);
      const bundled = await new Deno.Command(Deno.execPath(), {
        args: ["bundle", "--quiet", "-o", `${dir}/program.js`, `${dir}/program.ts`],
      }).output();
      assert.ok(bundled.success, new TextDecoder().decode(bundled.stderr));
      // A copy, as the executable may lie in a directory that others cannot enter.
      await Deno.copyFile(Deno.execPath(), `${dir}/deno`);
      await Deno.chmod(`${dir}/deno`, 0o755);
      const { stdout, stderr } = await new Deno.Command(`${dir}/deno`, {
        args: ["run", "-A", "--no-config", "--no-lock", "--cached-only", "--no-code-cache", `${dir}/program.js`],
        uid: 65534,
        gid: 65534,
        cwd: "/",
        env: { HOME: "/", DENO_DIR: `${dir}/none` },
      }).output();
      const text = new TextDecoder().decode(stdout);
      assert.match(text, /^PermissionDenied .*run barge as root/, text + new TextDecoder().decode(stderr));
    }),
});

Deno.test("viewImage() finds manifest, config and chain id of an image, and undefined for what is not here", () =>
  withStore(async (store) => {
    const options = { platform: { os: "linux", architecture: "amd64" }, snapshotter: "native" };
    assert.equal(await viewImage(store, "none", options), undefined);
    const manifestDigest = await putImage(store, "name", "chain");
    const view = await viewImage(store, "name", options);
    assert.deepEqual(
      { digest: view?.manifestDigest, cmd: view?.config.config?.Cmd, chain: view?.chainId, unpacked: view?.unpacked },
      { digest: manifestDigest, cmd: ["name"], chain: "chain", unpacked: true },
    );
    assert.equal((await viewImage(store, "name", { ...options, snapshotter: "overlayfs" }))?.unpacked, false);
    await assert.rejects(
      viewImage(store, "name", { ...options, platform: { os: "linux", architecture: "riscv64" } }),
      isCode("NotFound", /linux\/amd64/),
    );
    await store.snapshotter("native").remove("chain");
    assert.equal((await viewImage(store, "name", options))?.unpacked, false);
    await store.content.delete(manifestDigest);
    assert.equal(await viewImage(store, "name", options), undefined);
  }));

/** Runs a program that opens the store, does something, says "ready" and waits to be killed. */
async function killedInTheMiddle(root: string, body: string): Promise<void> {
  const program = `import { openStore } from ${JSON.stringify(new URL("./store.ts", import.meta.url).href)};
    const store = await openStore(${JSON.stringify(root)});
    globalThis.kept = [];
    ${body}
    console.log("ready"); setInterval(() => {}, 1000);`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", program], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value).trim(), "ready");
  child.kill("SIGKILL");
  await reader.cancel();
  await child.status;
}

const oneShot = `
  const lease = await store.leases.own("run");
  const snapshots = store.snapshotter("native");
  await snapshots.prepare("rootfs", { lease: lease.id });
  globalThis.kept.push(lease, await snapshots.lockSnapshot("rootfs"));`;

Deno.test("reapAbandoned() removes lease, container and snapshot of a killed owner, and reports the container", () =>
  withStore(async (store) => {
    await killedInTheMiddle(
      store.root,
      `${oneShot}
       await store.containers.create({ id: "c1", snapshotter: "native", snapshotKey: "rootfs", lease: lease.id });`,
    );
    await using mine = await store.leases.own("alive");
    await store.snapshotter("native").prepare("mine", { lease: mine.id });
    await Deno.writeTextFile(`${store.root}/trash/left`, "");
    const { leases, containers } = await reapAbandoned(store);
    assert.equal(leases.length, 1);
    assert.deepEqual(containers.map(({ id }) => id), ["c1"]);
    assert.deepEqual(await store.containers.list(), []);
    assert.deepEqual((await store.snapshotter("native").list()).map(({ key }) => key), ["mine"]);
    assert.deepEqual((await store.leases.list()).map(({ id }) => id), [mine.id]);
    assert.equal(names(`${store.root}/leases`).length, 1);
    assert.deepEqual(names(`${store.root}/trash`), []);
    assert.deepEqual(names(`${store.root}/io.containerd.snapshotter.v1.native/locks`), []);
  }));

Deno.test("reapAbandoned() keeps a container's row until what is outside of the store was cleaned", () =>
  withStore(async (store) => {
    await killedInTheMiddle(
      store.root,
      `${oneShot}
       await store.containers.create({ id: "c1", snapshotter: "native", snapshotKey: "rootfs", lease: lease.id });`,
    );
    const stopped = reapAbandoned(store, async ({ id }) => {
      assert.ok(await store.containers.find(id));
      throw new Error("the cleaner dies here");
    });
    await assert.rejects(stopped, /dies here/);
    const { containers } = await reapAbandoned(store);
    assert.deepEqual(containers.map(({ id }) => id), ["c1"]);
  }));

Deno.test("reapAbandoned() keeps the snapshot of a container that is not under the dead lease", () =>
  withStore(async (store) => {
    await killedInTheMiddle(
      store.root,
      `${oneShot} await store.containers.create({ id: "kept", snapshotter: "native", snapshotKey: "rootfs" });`,
    );
    const { leases, containers } = await reapAbandoned(store);
    assert.deepEqual([leases.length, containers.length], [1, 0]);
    assert.ok(await store.snapshotter("native").find("rootfs"));
    assert.ok(await store.containers.find("kept"));
  }));

Deno.test("reapAbandoned() waits with a dead lease while another process works in its snapshot", () =>
  withStore(async (store) => {
    await killedInTheMiddle(store.root, oneShot);
    const lock = await store.snapshotter("native").lockSnapshot("rootfs");
    assert.deepEqual((await reapAbandoned(store)).leases, []);
    lock.release();
    assert.equal((await reapAbandoned(store)).leases.length, 1);
    assert.equal(await store.snapshotter("native").find("rootfs"), undefined);
  }));

Deno.test("reapAbandoned() keeps an unfinished download for the next pull until it has expired", () =>
  withStore(async (store) => {
    await killedInTheMiddle(
      store.root,
      `const lease = await store.leases.own("pull");
       const ingest = await store.content.openIngest("layer", { size: 100, lease: lease.id, signal: new AbortController().signal });
       await ingest.write(new Uint8Array(10));
       globalThis.kept.push(lease, ingest);`,
    );
    assert.equal((await reapAbandoned(store)).leases.length, 1);
    {
      using ingest = await store.content.openIngest("layer", { size: 100, signal });
      assert.equal(ingest.offset, 10);
    }
    await store.database.transaction(() => store.database.run("UPDATE ingests SET expires = 1"));
    await reapAbandoned(store);
    assert.deepEqual(names(`${store.root}/io.containerd.content.v1.content/ingest`), []);
    assert.deepEqual(store.database.all("SELECT * FROM ingests"), []);
  }));

Deno.test("OwnedLease.endInside() ends the lease with what it held in one transaction", () =>
  withStore(async (store) => {
    const lease = await store.leases.own("run");
    const snapshots = store.snapshotter("native");
    await snapshots.prepare("rootfs", { lease: lease.id });
    await store.containers.create({ id: "c1", snapshotter: "native", snapshotKey: "rootfs", lease: lease.id });
    const after = await store.database.transaction(() => {
      store.containers.deleteInside("c1");
      return [snapshots.removeInside("rootfs"), lease.endInside()];
    }, { durable: false });
    for (const step of after) await step();
    await lease.end();
    assert.deepEqual(await store.leases.list(), []);
    assert.deepEqual(await snapshots.list(), []);
    for (const part of ["leases", "trash"]) assert.deepEqual(names(`${store.root}/${part}`), []);
    assert.deepEqual(await reapAbandoned(store), { leases: [], containers: [] });
  }));

Deno.test("ContainerStore keeps what it was given, refuses a second of an id, and ids that are none", () =>
  withStore(async (store) => {
    await store.containers.create({ id: "c-1", image: "debian", specPath: "/run/x/config.json", labels: { a: "b" } });
    const { created: _, updated: __, ...rest } = await store.containers.get("c-1");
    assert.deepEqual(rest, { id: "c-1", image: "debian", specPath: "/run/x/config.json", labels: { a: "b" } });
    await assert.rejects(store.containers.create({ id: "c-1" }), isCode("AlreadyExists"));
    for (const id of ["", "-a", "a--b", "a/b", "a".repeat(77)]) {
      await assert.rejects(store.containers.create({ id }), isCode("InvalidArgument", /^identifier/));
    }
    await store.containers.delete("c-1");
    await assert.rejects(store.containers.get("c-1"), isCode("NotFound"));
    await assert.rejects(store.containers.delete("c-1"), isCode("NotFound"));
  }));

Deno.test("ImageStore gives a name to another target, keeps its labels unless told, and forgets", () =>
  withStore(async (store) => {
    const target = (text: string) => ({
      mediaType: mediaTypes.ociManifest,
      digest: digestOf(bytes(text)),
      size: text.length,
    });
    await store.images.put("name", target("one"), { l: "v" });
    await store.images.put("name", { ...target("two"), annotations: { a: "b" } });
    const { target: now, labels } = await store.images.get("name");
    assert.deepEqual([now, labels], [{ ...target("two"), annotations: { a: "b" } }, { l: "v" }]);
    assert.equal(store.database.all("SELECT * FROM refs").length, 1);
    assert.deepEqual((await store.images.list()).map(({ name }) => name), ["name"]);
    await store.images.delete("name");
    assert.equal(await store.images.find("name"), undefined);
    await assert.rejects(store.images.delete("name"), isCode("NotFound"));
    assert.deepEqual(store.database.all("SELECT * FROM labels"), []);
  }));
