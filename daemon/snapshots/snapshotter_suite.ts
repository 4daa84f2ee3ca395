/**
 * What every snapshotter must hold to; run on each implementation and option.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { LeaseStore } from "../leases/lease_store.ts";
import { Database } from "../metadata/database.ts";
import { Objects } from "../metadata/objects.ts";
import { Trash } from "../metadata/trash.ts";
import { DirectorySnapshotter } from "./directory_snapshotter.ts";
import type { SnapshotForm } from "./form.ts";
import type { Mount } from "./snapshotter.ts";

/** A snapshotter with what it stands on. */
export interface SnapshotterFixture {
  dir: string;
  snapshots: DirectorySnapshotter;
  leases: LeaseStore;
  database: Database;
  objects: Objects;
}

/** Runs the body with a snapshotter in a directory of its own. */
export async function withSnapshotter(
  form: SnapshotForm,
  body: (fixture: SnapshotterFixture) => Promise<void>,
  parent?: string,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-snapshots-", ...(parent === undefined ? {} : { dir: parent }) });
  try {
    for (const part of ["snapshots", "locks", "trash", "leases"]) await Deno.mkdir(`${dir}/${part}`);
    using database = await Database.open(`${dir}/meta.db`);
    const objects = new Objects(database, "default");
    const snapshots = new DirectorySnapshotter(
      form,
      objects,
      dir,
      new Trash(`${dir}/trash`, { discard: form.discard?.bind(form) }),
    );
    await body({ dir, objects, snapshots, database, leases: new LeaseStore(objects, `${dir}/leases`) });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Names in a directory, in order. */
export const names = (path: string): string[] => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

/** Runs a program, which must succeed. */
export async function command(...words: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(words[0]!, { args: words.slice(1) }).output();
  assert.ok(success, `${words.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

/** Mounts as a caller would, and gives the place to the body. */
export async function mounted(
  mounts: Mount[],
  dir: string,
  body: (place: string) => void | Promise<void>,
): Promise<void> {
  const place = await Deno.makeTempDir({ dir, prefix: "mount-" });
  const [mount] = mounts;
  assert.ok(mount !== undefined && mounts.length === 1);
  const { type, source, options } = mount;
  const kind = type === "bind" ? [] : ["-t", type];
  await command("mount", ...kind, "-o", options.join(","), source, place);
  // mount(8) of a bind with "ro" needs a second step with older util-linux.
  if (type === "bind" && options.includes("ro")) await command("mount", "-o", "remount,bind,ro", place);
  try {
    await body(place);
  } finally {
    await command("umount", place);
    await Deno.remove(place);
  }
}

/** Gives the body a directory to make others in. */
export type Around = (body: (directory: string | undefined) => Promise<void>) => Promise<void>;

/** The tests of one snapshotter. `problem` is why they cannot run here; `around` says where its files lie. */
export function snapshotterSuite(
  suite: string,
  form: SnapshotForm,
  problem: string | undefined,
  around: Around = (body) => body(undefined),
): void {
  const test = (name: string, body: (fixture: SnapshotterFixture) => Promise<void>) =>
    Deno.test({
      name: `${suite}: ${name}${problem === undefined ? "" : ` (${problem})`}`,
      ignore: problem !== undefined,
      fn: () => around((directory) => withSnapshotter(form, body, directory)),
    });

  test("prepare(), write and commit() three layers, then the last one shows all", async ({ dir, snapshots }) => {
    let parent: string | undefined;
    for (const layer of ["one", "two", "three"]) {
      const mounts = await snapshots.prepare(`extract ${layer}`, parent === undefined ? {} : { parent });
      await mounted(mounts, dir, async (place) => {
        await Deno.writeTextFile(`${place}/${layer}`, layer);
        await Deno.writeTextFile(`${place}/changed`, layer);
        if (layer === "three") await Deno.remove(`${place}/one`);
      });
      await snapshots.commit(`extract ${layer}`, layer, { labels: { layer } });
      parent = layer;
    }
    await mounted(await snapshots.prepare("container", { parent: "three" }), dir, (place) => {
      assert.deepEqual(names(place), ["changed", "three", "two"]);
      assert.equal(Deno.readTextFileSync(`${place}/changed`), "three");
      assert.equal(Deno.statSync(place).mode! & 0o7777, 0o755);
    });
    assert.deepEqual((await snapshots.list()).map(({ key, kind, parent }) => [key, kind, parent]), [
      ["container", "active", "three"],
      ["one", "committed", undefined],
      ["three", "committed", "two"],
      ["two", "committed", "one"],
    ]);
    assert.equal((await snapshots.stat("two")).labels["layer"], "two");
  });

  test("what one active snapshot writes is seen neither by its parent nor by another child", async ({ dir, snapshots }) => {
    await snapshots.prepare("base-key");
    await snapshots.commit("base-key", "base");
    await mounted(await snapshots.prepare("a", { parent: "base" }), dir, (place) => {
      Deno.writeTextFileSync(`${place}/file`, "a");
    });
    const mounts = await snapshots.prepare("b", { parent: "base" });
    await mounted(mounts, dir, (place) => assert.deepEqual(names(place), []));
    assert.deepEqual(await snapshots.mounts("b"), mounts);
  });

  test("view() is read-only, also of an empty base and of several layers", async ({ dir, snapshots }) => {
    await snapshots.prepare("x1");
    await Deno.writeTextFile(`${await snapshots.layerDirectory("x1")}/file`, "x");
    await snapshots.commit("x1", "one");
    await snapshots.prepare("x2", { parent: "one" });
    await snapshots.commit("x2", "two");
    for (const [key, parent] of [["v0", undefined], ["v1", "one"], ["v2", "two"]] as const) {
      await mounted(await snapshots.view(key, parent === undefined ? {} : { parent }), dir, (place) => {
        assert.deepEqual(names(place), parent === undefined ? [] : ["file"]);
        assert.throws(() => Deno.writeTextFileSync(`${place}/new`, ""), /Read-only/);
      });
    }
    await assert.rejects(snapshots.commit("v1", "three"), (e) => isFailure(e, "FailedPrecondition"));
  });

  test("keys are taken once, whatever kind they are of, and the lease gets what exists", async ({ snapshots, leases }) => {
    await using lease = await leases.own("test");
    await snapshots.prepare("key");
    await assert.rejects(snapshots.view("key", { lease: lease.id }), (e) => isFailure(e, "AlreadyExists"));
    await snapshots.prepare("other");
    await snapshots.commit("other", "name");
    await assert.rejects(snapshots.commit("key", "name", { lease: lease.id }), (e) => isFailure(e, "AlreadyExists"));
    await assert.rejects(snapshots.prepare("name"), (e) => isFailure(e, "AlreadyExists"));
    assert.equal((await snapshots.stat("key")).kind, "active");
    assert.deepEqual(leases.resources(lease.id).map(({ key }) => key), [`${form.name}/key`, `${form.name}/name`]);
  });

  test("only a committed snapshot that exists is a parent", async ({ dir, snapshots }) => {
    await assert.rejects(snapshots.prepare("a", { parent: "none" }), (e) => isFailure(e, "NotFound"));
    await snapshots.prepare("active");
    await assert.rejects(snapshots.prepare("a", { parent: "active" }), (e) => isFailure(e, "InvalidArgument"));
    assert.equal(names(`${dir}/snapshots`).length, 1, "a refused prepare left a directory");
    assert.deepEqual(names(`${dir}/trash`), []);
  });

  test("mounts() of a committed or missing snapshot fails", async ({ snapshots }) => {
    await snapshots.prepare("a");
    await snapshots.commit("a", "b");
    await assert.rejects(snapshots.mounts("b"), (e) => isFailure(e, "FailedPrecondition"));
    await assert.rejects(snapshots.mounts("a"), (e) => isFailure(e, "NotFound"));
    await assert.rejects(snapshots.stat("a"), (e) => isFailure(e, "NotFound"));
    assert.equal(await snapshots.find("a"), undefined);
  });

  test("remove() takes children first and leaves no file", async ({ dir, snapshots, database }) => {
    await snapshots.prepare("a", { labels: { l: "v" } });
    await snapshots.commit("a", "base", { labels: { l: "v" } });
    await snapshots.prepare("child", { parent: "base" });
    await assert.rejects(
      snapshots.remove("base"),
      (e) => isFailure(e, "FailedPrecondition") && /with child/.test(e.message),
    );
    (await snapshots.lockSnapshot("child")).release();
    await snapshots.remove("child");
    await snapshots.remove("base");
    await assert.rejects(snapshots.remove("base"), (e) => isFailure(e, "NotFound"));
    for (const part of ["snapshots", "locks", "trash"]) assert.deepEqual(names(`${dir}/${part}`), []);
    assert.deepEqual(database.all("SELECT * FROM labels"), []);
    assert.deepEqual(database.all("SELECT * FROM refs"), []);
  });

  test("usage() counts blocks and inodes of one layer, hard links once", async ({ snapshots }) => {
    await snapshots.prepare("a");
    const directory = await snapshots.layerDirectory("a");
    await Deno.writeFile(`${directory}/file`, new Uint8Array(100_000).fill(7));
    await Deno.link(`${directory}/file`, `${directory}/again`);
    const active = await snapshots.usage("a");
    assert.equal(active.inodes, 2);
    assert.ok(active.size >= 100_000 && active.size < 200_000, `${active.size}`);
    await snapshots.commit("a", "base");
    assert.deepEqual(await snapshots.usage("base"), active);
    assert.deepEqual(await snapshots.usage("base"), active);
  });

  test("lockSnapshot() excludes a second user until it is released", async ({ snapshots }) => {
    await snapshots.prepare("a");
    const lock = await snapshots.lockSnapshot("a");
    await assert.rejects(snapshots.lockSnapshot("a"), (e) => isFailure(e, "Unavailable"));
    assert.equal(snapshots.isLockedInside("a"), true);
    lock.release();
    assert.equal(snapshots.isLockedInside("a"), false);
    (await snapshots.lockSnapshot("a")).release();
    await assert.rejects(snapshots.lockSnapshot("b"), (e) => isFailure(e, "NotFound"));
  });

  test("discardLeftovers() takes what a dead process left and nothing else", async ({ dir, snapshots, database }) => {
    await snapshots.prepare("kept");
    await Deno.mkdir(`${dir}/snapshots/new-dead/fs`, { recursive: true });
    const [gone, strange] = [2, 4711];
    await snapshots.prepare("gone");
    // As after a removal that was killed before it came to the files.
    await database.transaction(() => void database.run("DELETE FROM snapshots WHERE id = ?", gone));
    await Deno.mkdir(`${dir}/snapshots/${strange}/fs`, { recursive: true });
    await Deno.writeTextFile(`${dir}/locks/${gone}`, "");
    await Deno.writeTextFile(`${dir}/locks/make-dead`, "");
    using _made = await snapshots.lockName("alive", AbortSignal.timeout(1000));
    using _used = await snapshots.lockSnapshot("kept");
    const kept = names(`${dir}/snapshots`).filter((name) => name !== "new-dead" && name !== `${gone}`);
    assert.ok(kept.includes(`${strange}`));
    const making = snapshots.prepare("in the making");
    await Promise.all([making, snapshots.discardLeftovers()]);
    assert.equal(names(`${dir}/snapshots`).length, kept.length + 1);
    assert.deepEqual(names(`${dir}/trash`), []);
    assert.equal(names(`${dir}/locks`).length, 2);
  });

  test("commit() onto a parent works exactly where the snapshotter says so", async ({ dir, snapshots }) => {
    await snapshots.prepare("a");
    await Deno.writeTextFile(`${await snapshots.layerDirectory("a")}/lower`, "");
    await snapshots.prepare("b");
    await Deno.writeTextFile(`${await snapshots.layerDirectory("b")}/upper`, "");
    await snapshots.commit("a", "base");
    const commit = snapshots.commit("b", "top", { parent: "base" });
    if (!form.rebases) return await assert.rejects(commit, (e) => isFailure(e, "FailedPrecondition"));
    await commit;
    assert.deepEqual(await snapshots.parentDirectories("top"), [await snapshots.layerDirectory("base")]);
    await mounted(await snapshots.view("v", { parent: "top" }), dir, (place) => {
      assert.deepEqual(names(place), ["lower", "upper"]);
    });
  });
}
