import assert from "node:assert/strict";
import { type Code, Failure } from "../../api/errors.ts";
import { statAt } from "../../ffi/files.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { getXattrAt } from "../../ffi/xattr.ts";
import { type Applied, type ApplyForm, LayerApplier } from "./apply.ts";
import { archive, type FixtureEntry } from "./archive_fixture.ts";
import { TarReader } from "./tar_reader.ts";

const forms: ApplyForm[] = ["plain", "overlay"];

function rootTest(name: string, body: () => void): void {
  const isRoot = Deno.uid() === 0;
  Deno.test({ name: isRoot ? name : `${name} (skipped: not root)`, ignore: !isRoot, fn: body });
}

/** Applies layers to a directory below a fresh one, in which hostile archives would leave their traces. */
function inTarget(body: (target: string, outside: string) => void): void {
  const outside = Deno.makeTempDirSync({ prefix: "barge-apply-" });
  try {
    Deno.mkdirSync(`${outside}/target`);
    Deno.writeTextFileSync(`${outside}/secret`, "untouched");
    body(`${outside}/target`, outside);
    assert.deepEqual([...Deno.readDirSync(outside)].map(({ name }) => name).sort(), ["secret", "target"]);
    assert.equal(Deno.readTextFileSync(`${outside}/secret`), "untouched");
  } finally {
    Deno.removeSync(outside, { recursive: true });
  }
}

function apply(dir: string, form: ApplyForm, ...entries: FixtureEntry[]): Applied {
  using applier = new LayerApplier(dir, form);
  const reader = new TarReader(applier);
  reader.push(archive(...entries));
  reader.end();
  return applier.finish();
}

function refuses(code: Code, pattern: RegExp, body: () => void): void {
  assert.throws(body, (error: unknown) => {
    assert.ok(error instanceof Failure, String(error));
    assert.deepEqual([error.code, pattern.test(error.message)], [code, true], error.message);
    return true;
  });
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function status(path: string): ReturnType<typeof statAt> {
  using file = openFile("/", 0);
  return statAt(file.number, path);
}

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

const file = (name: string, data = name): FixtureEntry => ({ name, data });
const dir = (name: string): FixtureEntry => ({ name, type: "5", mode: 0o755 });
const symlink = (name: string, link: string): FixtureEntry => ({ name, type: "2", link });
const hardLink = (name: string, link: string): FixtureEntry => ({ name, type: "1", link });

for (const form of forms) {
  Deno.test(`LayerApplier (${form}) keeps names like ../x and /x inside`, () =>
    inTarget((target) => {
      apply(target, form, file("../up"), file("/abs"), file("a/../../../b"), file("./c/./d"), dir("../.."));
      assert.deepEqual(names(target), ["abs", "b", "c", "up"]);
    }));

  Deno.test(`LayerApplier (${form}) follows links in parents inside the target only`, () =>
    inTarget((target) => {
      apply(
        target,
        form,
        ...[symlink("up", "../.."), symlink("abs", "/"), symlink("a", "b/c"), dir("b"), symlink("b/c", "../d")],
        ...[file("up/secret"), file("abs/secret2"), file("a/x"), file("abs/up/abs/y")],
      );
      assert.deepEqual(names(target), ["a", "abs", "b", "d", "secret", "secret2", "up", "y"]);
      assert.equal(Deno.readTextFileSync(`${target}/d/x`), "a/x");
    }));

  Deno.test(`LayerApplier (${form}) never writes through a link in the last component`, () =>
    inTarget((target) => {
      apply(target, form, symlink("x", "../secret"), file("x", "new"), symlink("d", ".."), dir("d"), file("d/secret"));
      assert.equal(Deno.readTextFileSync(`${target}/x`), "new");
      assert.deepEqual(names(`${target}/d`), ["secret"]);
      // Also when the link is there from an earlier layer.
      Deno.symlinkSync("../secret", `${target}/y`);
      apply(target, form, file("y", "new"));
      assert.equal(Deno.lstatSync(`${target}/y`).isFile, true);
    }));

  Deno.test(`LayerApplier (${form}) keeps hard link targets inside`, () =>
    inTarget((target, outside) => {
      apply(target, form, file("secret", "mine"), hardLink("l", "../../secret"), symlink("s", "../secret"));
      assert.equal(Deno.readTextFileSync(`${target}/l`), "mine");
      assert.notEqual(status(`${target}/l`).inode, status(`${outside}/secret`).inode);
      apply(target, form, symlink("s2", "../secret"), hardLink("l2", "s2"));
      assert.equal(Deno.lstatSync(`${target}/l2`).isSymlink, true);
    }));

  Deno.test(`LayerApplier (${form}) gives a loop of links one sentence`, () =>
    inTarget((target) => {
      refuses("InvalidArgument", /"a\/x?": too many symbolic links|below "a": too many symbolic links/, () =>
        apply(target, form, symlink("a", "b"), symlink("b", "a"), file("a/x")));
    }));

  Deno.test(`LayerApplier (${form}) refuses a file where a parent directory is needed`, () =>
    inTarget((target) => {
      refuses("InvalidArgument", /below "f": it is not a directory/, () => apply(target, form, file("f"), file("f/x")));
    }));

  Deno.test(`LayerApplier (${form}) ignores entries of the root itself`, () =>
    inTarget((target) => {
      const before = status(target);
      apply(
        target,
        form,
        { ...dir("./"), mode: 0o700 },
        { ...dir("/"), mode: 0o700 },
        file("..", "data"),
        file("a/.."),
      );
      assert.deepEqual([status(target).mode, names(target)], [before.mode, []]);
    }));

  Deno.test(`LayerApplier (${form}) replaces what is there, and merges directories`, () =>
    inTarget((target) => {
      const replaced = [file("x"), dir("x"), file("x/in"), symlink("x", "y"), dir("x"), file("x/last")];
      apply(target, form, ...replaced, dir("d"), file("d/a"), { ...dir("d"), mode: 0o711 }, file("d/b"));
      assert.deepEqual([names(`${target}/x`), names(`${target}/d`)], [["last"], ["a", "b"]]);
      assert.equal(status(`${target}/d`).mode & 0o7777, 0o711);
    }));

  Deno.test(`LayerApplier (${form}) sets modes past the umask and directory times after their contents`, () =>
    inTarget((target) => {
      const mask = Deno.umask(0o077);
      try {
        const time = { mtime: 1_000_000_000, pax: { mtime: "1000000000.123456789", atime: "5" } };
        apply(
          target,
          form,
          { ...dir("d"), ...time, mode: 0o3775 },
          { ...file("d/f"), ...time, mode: 0o6751 },
          file("i/f"),
        );
      } finally {
        Deno.umask(mask);
      }
      const [d, f, i] = [status(`${target}/d`), status(`${target}/d/f`), status(`${target}/i`)];
      assert.deepEqual([d.mode & 0o7777, f.mode & 0o7777, i.mode & 0o7777], [0o3775, 0o6751, 0o755]);
      const wanted = { seconds: 1_000_000_000, nanos: 123_456_789 };
      assert.deepEqual([d.mtime, f.mtime, f.atime], [wanted, wanted, wanted], "atime is never before mtime");
    }));

  Deno.test(`LayerApplier (${form}) turns impossible times into 0`, () =>
    inTarget((target) => {
      const at = (name: string, mtime: string) => ({ name, pax: { mtime } });
      apply(target, form, at("old", "-5.5"), at("far", "9223372037"), at("last", "9223372036.854775807"));
      const seconds = ["old", "far", "last"].map((name) => status(`${target}/${name}`).mtime.seconds);
      // tmpfs and ext4 keep no more than their own range; the last one is within 64 bits of nanoseconds.
      assert.deepEqual(seconds.slice(0, 2), [0, 0]);
      assert.notEqual(seconds[2], 0);
    }));

  Deno.test(`LayerApplier (${form}) refuses impossible whiteouts and unknown types`, () =>
    inTarget((target) => {
      for (const name of [".wh.", "d/.wh..", ".wh..."]) {
        refuses(
          "InvalidArgument",
          /^invalid whiteout name: .*: invalid archive$/,
          () => apply(target, form, file(name)),
        );
      }
      refuses(
        "InvalidArgument",
        /"x": unhandled tar header type 55/,
        () => apply(target, form, { name: "x", type: "7" }),
      );
    }));

  Deno.test(`LayerApplier (${form}) refuses a hard link to itself`, () =>
    inTarget((target) => {
      refuses("NotFound", /"f": hard link to "f": it is the link itself/, () => {
        apply(target, form, file("f"), hardLink("f", "f"));
      });
    }));

  rootTest(
    `LayerApplier (${form}) makes devices and fifos, and gives hard links the entry's attributes`,
    () =>
      inTarget((target) => {
        const device = { name: "n", type: "3", major: 1, minor: 3, mode: 0o640, uid: 4, gid: 5 };
        apply(target, form, device, { ...device, name: "b", type: "4", major: 259, minor: 70000 }, {
          name: "p",
          type: "6",
        }, {
          ...file("f"),
          uid: 1,
        }, { ...hardLink("l", "f"), uid: 2, mode: 0o600 });
        const [n, b, f] = [status(`${target}/n`), status(`${target}/b`), status(`${target}/f`)];
        assert.deepEqual([n.mode, n.major, n.minor, n.uid, n.gid], [0o020640, 1, 3, 4, 5]);
        assert.deepEqual([b.major, b.minor], [259, 70000]);
        assert.deepEqual([f.uid, f.mode & 0o7777, f.links], [2, 0o600, 2]);
      }),
  );
}

Deno.test("LayerApplier (plain) removes by whiteouts, and spares this layer's own entries below an opaque mark", () =>
  inTarget((target) => {
    apply(target, "plain", file("gone"), dir("tree"), file("tree/x"), dir("o"), file("o/old"), file("o/keep"));
    apply(
      target,
      "plain",
      ...[file(".wh.gone"), file(".wh.tree"), file(".wh.never-there"), dir("o"), dir("o/own"), file("o/own/x")],
      ...[file("o/implied/x"), file("o/keep", "2"), file("o/.wh..wh..opq"), file("o/after")],
    );
    assert.deepEqual([names(target), names(`${target}/o`)], [["o"], ["after", "keep", "own"]]);
    assert.deepEqual(names(`${target}/o/own`), ["x"]);
  }));

Deno.test("LayerApplier (plain) removes through no link", () =>
  inTarget((target, outside) => {
    Deno.mkdirSync(`${outside}/target/d`);
    Deno.symlinkSync(`${outside}`, `${target}/d/link`);
    apply(target, "plain", file("d/.wh..wh..opq"), symlink("e", ".."), file(".wh.e"), file("e/x"));
    assert.deepEqual([names(`${target}/d`), names(`${target}/e`)], [[], ["x"]]);
  }));

Deno.test("LayerApplier (plain) refuses a hard link to nothing", () =>
  inTarget((target) => {
    refuses("NotFound", /"l": hard link to "no": there is no such file/, () =>
      apply(target, "plain", hardLink("l", "no")));
  }));

rootTest("LayerApplier (overlay) turns whiteouts into 0:0 devices and opaque marks", () =>
  inTarget((target) => {
    apply(target, "overlay", { ...file("d/.wh.gone"), uid: 3, gid: 4 }, file("o/.wh..wh..opq"), file(".wh.gone"));
    const mark = status(`${target}/d/gone`);
    assert.deepEqual([mark.mode & 0o170000, mark.major, mark.minor, mark.uid, mark.gid], [0o020000, 0, 0, 3, 4]);
    using parent = openFile(target, 0);
    assert.deepEqual(getXattrAt(parent.number, "o", "trusted.overlay.opaque"), new Uint8Array([0x79]));
    refuses("AlreadyExists", /file exists: the layer holds "f" and removes it as well/, () => {
      apply(target, "overlay", file("f"), file(".wh.f"));
    });
  }));

rootTest(
  "LayerApplier (overlay) makes a name that is removed and made again an opaque directory",
  () =>
    inTarget((target) => {
      apply(target, "overlay", file(".wh.a"), dir("a"), file("a/x"), file(".wh.b"), file("b/x"));
      using parent = openFile(target, 0);
      for (const name of ["a", "b"]) {
        assert.deepEqual(getXattrAt(parent.number, name, "trusted.overlay.opaque"), new Uint8Array([0x79]));
        assert.deepEqual(names(`${target}/${name}`), ["x"]);
      }
    }),
);

Deno.test("LayerApplier (overlay) lists directories without an entry, and links to other layers", () =>
  inTarget((target) => {
    const applied = apply(
      target,
      "overlay",
      ...[file("a/b/x"), dir("a"), file("c/x"), file("d/x"), file("e/y"), file("e", "file")],
      ...[hardLink("l", "lower/t"), hardLink("gone", "lower/t"), file("gone"), dir("lower")],
    );
    assert.deepEqual(applied.impliedDirs, ["a/b", "c", "d"]);
    assert.deepEqual(applied.unresolvedLinks.map(({ path, target }) => [path, target]), [["l", "lower/t"]]);
    assert.equal(exists(`${target}/l`), false);
  }));

rootTest("LayerApplier (overlay) refuses a link to what the same layer removes", () =>
  inTarget((target) => {
    for (const whiteout of [".wh.t", "o/.wh..wh..opq"]) {
      const link = hardLink("l", whiteout.startsWith("o") ? "o/t" : "t");
      refuses("NotFound", /the same layer removes it/, () => apply(target, "overlay", file(whiteout), link));
    }
  }));

rootTest("LayerApplier keeps extended attributes, but takes no trusted ones", () =>
  inTarget((target) => {
    const xattrs = { "SCHILY.xattr.user.a": "1", "SCHILY.xattr.trusted.overlay.redirect": "/secret" };
    const { warnings } = apply(target, "plain", { ...file("f"), pax: xattrs }, { ...dir("d"), pax: xattrs });
    using parent = openFile(target, 0);
    for (const name of ["f", "d"]) {
      assert.deepEqual(getXattrAt(parent.number, name, "user.a"), new Uint8Array([0x31]));
      assert.equal(getXattrAt(parent.number, name, "trusted.overlay.redirect"), undefined);
    }
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /"trusted.overlay.redirect" was left out/);
  }));

Deno.test("LayerApplier keeps holes, also at the end of a file", () =>
  inTarget((target) => {
    const pax = { "GNU.sparse.size": "10000000", "GNU.sparse.map": "5000000,3" };
    apply(target, "plain", { name: "s", data: "abc", pax });
    const { size, blocks } = status(`${target}/s`);
    assert.equal(size, 10_000_000);
    assert.ok(blocks * 512 < 1_000_000, `${blocks} blocks`);
  }));

Deno.test("LayerApplier keeps names that are not UTF-8", () =>
  inTarget((target) => {
    apply(target, "plain", { name: "x", data: "ok", patch: (block) => block.set([0x61, 0xe9], 0) });
    using parent = openFile(target, 0);
    assert.equal(statAt(parent.number, "a\udce9").size, 2);
  }));
