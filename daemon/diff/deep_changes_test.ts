import assert from "node:assert/strict";
import { Failure, isFailure } from "../../api/errors.ts";
import { dig } from "../../ffi/deep_fixture.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import { LayerApplier } from "./apply.ts";
import { archive } from "./archive_fixture.ts";
import { walkBoth } from "./changes.ts";
import { walkUpper } from "./overlay_changes.ts";
import { TarReader } from "./tar_reader.ts";

async function inTempDir(body: (dir: string) => void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-deep-" });
  try {
    body(dir);
  } finally {
    removeTreeSync(dir);
  }
}

const openFiles = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("walkBoth() and walkUpper() hold few descriptors in deep trees, and come to every name", () =>
  inTempDir((dir) => {
    for (const name of ["lower", "upper"]) Deno.mkdirSync(`${dir}/${name}`);
    dig(`${dir}/lower`, 1_500, "d");
    dig(`${dir}/upper`, 1_600, "d");
    Deno.writeTextFileSync(`${dir}/upper/d/last`, "");
    Deno.writeTextFileSync(`${dir}/lower/d/gone`, "");
    const before = openFiles();
    const walks = {
      both: walkBoth(`${dir}/lower`, `${dir}/upper`),
      upper: walkUpper([`${dir}/lower`], `${dir}/upper`),
    };
    for (const [name, walk] of Object.entries(walks)) {
      const added: string[] = [];
      let most = 0;
      for (const { kind, path } of walk) {
        most = Math.max(most, openFiles());
        if (kind === "added" || kind === "deleted") added.push(path);
      }
      assert.ok(most - before < 560, `${name}: ${most - before} descriptors`);
      assert.equal(added.length, name === "both" ? 102 : 101, name);
      assert.equal(openFiles(), before, name);
    }
  }));

Deno.test("walkBoth() and walkUpper() refuse paths that no layer can hold, in one sentence", () =>
  inTempDir((dir) => {
    for (const name of ["lower", "upper"]) Deno.mkdirSync(`${dir}/${name}`);
    dig(`${dir}/upper`, 3_000, "d");
    for (const walk of [walkBoth(`${dir}/lower`, `${dir}/upper`), walkUpper([`${dir}/lower`], `${dir}/upper`)]) {
      assert.throws(
        () => [...walk],
        (error) => isFailure(error, "FailedPrecondition") && /longer than 4095 bytes/.test(String(error)),
      );
    }
  }));

function apply(dir: string, form: "plain" | "overlay", ...entries: Parameters<typeof archive>): void {
  using applier = new LayerApplier(dir, form);
  const reader = new TarReader(applier);
  reader.push(archive(...entries));
  reader.end();
  applier.finish();
}

function message(body: () => void): string {
  try {
    body();
    return "nothing";
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    return `${error.code}: ${error.message}`;
  }
}

for (const form of ["plain", "overlay"] as const) {
  Deno.test({
    name: `LayerApplier (${form}) refuses long paths and owners that no file can have (needs root)`,
    ignore: Deno.uid() !== 0,
    fn: () =>
      inTempDir((dir) => {
        const path = "d/".repeat(400_000);
        const began = performance.now();
        for (const pax of [{ path }, { linkpath: path }]) {
          const said = message(() => apply(dir, form, { name: "x", type: "1", link: "y", pax }));
          assert.match(said, /^InvalidArgument: unpacking ".{1,62}…": a path is longer than 4095 bytes/);
        }
        assert.ok(performance.now() - began < 5_000, "a long path took long");
        for (const id of ["4294967296", "-2", "9007199254740991"]) {
          const said = message(() => apply(dir, form, { name: "file", pax: { uid: id, gid: "0" } }));
          assert.equal(said, `InvalidArgument: unpacking "file": its owner is ${id}:0: want ids of 0 to 4294967294`);
        }
        // As chown(2) has it: the owner stays.
        apply(dir, form, { name: "file", pax: { uid: "-1", gid: "4294967295" } });
        assert.deepEqual([Deno.statSync(`${dir}/file`).uid, Deno.statSync(`${dir}/file`).gid], [0, 0]);
      }),
  });
}

Deno.test("LayerApplier (plain) removes what is deeper than a path can be", () =>
  inTempDir((dir) => {
    Deno.mkdirSync(`${dir}/tree`);
    dig(`${dir}/tree`, 5_000, "d");
    Deno.mkdirSync(`${dir}/opaque`);
    dig(`${dir}/opaque`, 5_000, "d");
    const { uid, gid } = Deno.statSync(dir) as { uid: number; gid: number };
    apply(dir, "plain", { name: ".wh.tree", uid, gid }, { name: "opaque/d/kept", uid, gid }, {
      name: "opaque/.wh..wh..opq",
      uid,
      gid,
    });
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["opaque"]);
  }));
