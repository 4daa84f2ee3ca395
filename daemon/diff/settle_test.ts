import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { type FileStatus, statAt, statAtIfThere } from "../../ffi/files.ts";
import { getXattrAt } from "../../ffi/xattr.ts";
import { LayerApplier } from "./apply.ts";
import { archive, type FixtureEntry } from "./archive_fixture.ts";
import { settleLayer } from "./settle.ts";
import { TarReader } from "./tar_reader.ts";

const isRoot = Deno.uid() === 0;

/** Applies layers, lowest first, to uppers of their own, settles each, and gives the directory of each. */
function layersTest(name: string, layers: FixtureEntry[][], check: (dirs: string[]) => void): void {
  const body = () => {
    const top = Deno.makeTempDirSync({ prefix: "barge-settle-" });
    try {
      const dirs = layers.map((_, index) => `${top}/${index}`);
      for (const [index, entries] of layers.entries()) {
        Deno.mkdirSync(dirs[index]!);
        using applier = new LayerApplier(dirs[index]!, "overlay");
        const reader = new TarReader(applier);
        reader.push(archive(...entries));
        reader.end();
        settleLayer(dirs[index]!, dirs.slice(0, index).toReversed(), applier.finish());
      }
      check(dirs);
    } finally {
      Deno.removeSync(top, { recursive: true });
    }
  };
  Deno.test({ name: isRoot ? name : `${name} (skipped: not root)`, ignore: !isRoot, fn: body });
}

function status(path: string): FileStatus {
  using root = openFile("/", 0);
  return statAt(root.number, path);
}

function exists(path: string): boolean {
  using root = openFile("/", 0);
  return statAtIfThere(root.number, path) !== undefined;
}

const brief = ({ mode, uid, gid, mtime }: FileStatus) => [mode & 0o7777, uid, gid, mtime.seconds];

const special = { mode: 0o2750, uid: 7, gid: 8, mtime: 1000, pax: { "SCHILY.xattr.user.a": "b" } };
const dir = (name: string, more: Partial<FixtureEntry> = {}): FixtureEntry => ({
  name,
  type: "5",
  mode: 0o755,
  ...more,
});
const file = (name: string, more: Partial<FixtureEntry> = {}): FixtureEntry => ({ name, data: name, ...more });
const hardLink = (name: string, link: string, more: Partial<FixtureEntry> = {}): FixtureEntry => ({
  name,
  type: "1",
  link,
  ...more,
});

layersTest(
  "settleLayer() gives implied directories what the nearest lower layer has",
  [[dir("a", special), dir("a/b", special)], [dir("a", { ...special, mtime: 2000 })], [file("a/b/x")]],
  ([, , upper]) => {
    assert.deepEqual(brief(status(`${upper}/a`)), [0o2750, 7, 8, 2000]);
    assert.deepEqual(brief(status(`${upper}/a/b`)), [0o2750, 7, 8, 1000]);
    using parent = openFile(upper!, 0);
    assert.deepEqual(getXattrAt(parent.number, "a", "user.a"), new Uint8Array([0x62]));
  },
);

layersTest(
  "settleLayer() leaves implied directories alone that the lower layers do not show",
  [
    [
      dir("gone", special),
      dir("o", special),
      dir("o/d", special),
      dir("f", special),
      dir("own", special),
      dir("own/d", special),
    ],
    [file(".wh.gone"), dir("o", special), file("o/.wh..wh..opq"), file("f")],
    [file("gone/x"), file("o/d/x"), file("f/x"), file("own/d/x"), file("own/.wh..wh..opq")],
  ],
  ([, , upper]) => {
    for (const name of ["gone", "o/d", "f", "own/d"]) {
      assert.deepEqual(brief(status(`${upper}/${name}`)).slice(0, 3), [0o755, 0, 0], name);
    }
    // An opaque mark hides what is in a directory, not the directory.
    for (const name of ["o", "own"]) assert.deepEqual(brief(status(`${upper}/${name}`)).slice(0, 3), [0o2750, 7, 8]);
  },
);

layersTest(
  "settleLayer() gives a directory that hides a lower link the attributes of the link's target",
  [
    [dir("usr"), dir("usr/lib", special), { name: "lib", type: "2", link: "/usr/lib" }, dir("usr/lib/in", special)],
    [file("lib/in/x")],
  ],
  ([, upper]) => {
    assert.deepEqual(brief(status(`${upper}/lib`)), [0o2750, 7, 8, 1000]);
    assert.deepEqual(brief(status(`${upper}/lib/in`)), [0o2750, 7, 8, 1000]);
    assert.equal(exists(`${upper}/usr`), false);
  },
);

layersTest(
  "settleLayer() copies a hard link's target up, and gives both names one file",
  [
    [dir("d", special), file("d/t", { ...special, data: "contents" }), { name: "l", type: "2", link: "d" }],
    [],
    [
      hardLink("one", "d/t", special),
      hardLink("two", "one", special),
      hardLink("three", "l/t", { ...special, uid: 9 }),
    ],
  ],
  ([, , upper]) => {
    assert.equal(Deno.readTextFileSync(`${upper}/one`), "contents");
    const one = status(`${upper}/one`);
    assert.deepEqual([brief(one), one.links], [[0o2750, 9, 8, 1000], 4], "the last entry's attributes count for all");
    for (const name of ["two", "three", "d/t"]) assert.equal(status(`${upper}/${name}`).inode, one.inode, name);
    assert.deepEqual(brief(status(`${upper}/d`)), [0o2750, 7, 8, 1000]);
    using parent = openFile(upper!, 0);
    assert.deepEqual(getXattrAt(parent.number, "one", "user.a"), new Uint8Array([0x62]));
  },
);

layersTest(
  "settleLayer() makes a link whose target the layer removes or replaces afterwards",
  [
    [file("moved"), file("changed"), dir("o"), file("o/t"), { name: "s", type: "2", link: "nowhere" }],
    [
      ...[hardLink("new", "moved"), file(".wh.moved"), hardLink("old", "changed"), file("changed", { data: "2" })],
      ...[hardLink("kept", "o/t"), file("o/.wh..wh..opq"), hardLink("s2", "s")],
    ],
  ],
  ([, upper]) => {
    assert.equal(Deno.readTextFileSync(`${upper}/new`), "moved");
    assert.deepEqual([status(`${upper}/moved`).mode & 0o170000, status(`${upper}/moved`).major], [0o020000, 0]);
    assert.deepEqual([Deno.readTextFileSync(`${upper}/old`), Deno.readTextFileSync(`${upper}/changed`)], [
      "changed",
      "2",
    ]);
    assert.deepEqual([Deno.readTextFileSync(`${upper}/kept`), exists(`${upper}/o/t`)], ["o/t", false]);
    assert.equal(Deno.readLinkSync(`${upper}/s2`), "nowhere");
    assert.equal(status(`${upper}/s`).inode, status(`${upper}/s2`).inode);
  },
);

layersTest(
  "settleLayer() does not change the times of a directory that gets a link",
  [[file("t")], [dir("d", { mtime: 1234 }), hardLink("d/l", "t")]],
  ([, upper]) => assert.equal(status(`${upper}/d`).mtime.seconds, 1234),
);

Deno.test({
  name: isRoot ? "settleLayer() refuses a link to what no layer has" : "settleLayer() (skipped: not root)",
  ignore: !isRoot,
  fn() {
    const top = Deno.makeTempDirSync({ prefix: "barge-settle-" });
    try {
      for (const name of ["upper", "lower", "lower/dir"]) Deno.mkdirSync(`${top}/${name}`);
      const settle = (target: string) =>
        settleLayer(`${top}/upper`, [`${top}/lower`], { impliedDirs: [], unresolvedLinks: [{ path: "l", target }] });
      const failure = (code: string, pattern: RegExp) => (error: unknown) =>
        error instanceof Failure && error.code === code && pattern.test(error.message);
      assert.throws(() => settle("no"), failure("NotFound", /"l": hard link to "no": no layer has such a file/));
      assert.throws(() => settle("dir"), failure("InvalidArgument", /"dir".*is a directory/));
    } finally {
      Deno.removeSync(top, { recursive: true });
    }
  },
});
