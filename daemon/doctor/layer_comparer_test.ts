import assert from "node:assert/strict";
import { type ApplyForm, LayerApplier } from "../diff/apply.ts";
import { archive, type FixtureEntry } from "../diff/archive_fixture.ts";
import { TarReader } from "../diff/tar_reader.ts";
import { LayerComparer } from "./layer_comparer.ts";

const isRoot = Deno.uid() === 0;

/** Applies the layers to one directory, lets `damage` change it, and gives what is found then. */
function compared(
  form: ApplyForm,
  layers: readonly (readonly FixtureEntry[])[],
  damage: (dir: string) => void = () => {},
): string[] {
  const dir = Deno.makeTempDirSync({ prefix: "barge-compare-" });
  try {
    for (const entries of layers) {
      using applier = new LayerApplier(dir, form);
      const reader = new TarReader(applier);
      reader.push(archive(...entries));
      reader.end();
      applier.finish();
    }
    damage(dir);
    using comparer = new LayerComparer(dir, form);
    for (const entries of layers) {
      const reader = new TarReader(comparer);
      const bytes = archive(...entries);
      // In pieces, as a decompressor gives them.
      for (let at = 0; at < bytes.length; at += 1000) reader.push(bytes.subarray(at, at + 1000));
      reader.end();
      comparer.nextLayer();
    }
    const { first, count } = comparer.discrepancies.list(1000);
    assert.equal(first.length, count);
    return first.map(({ path, problem }) => `${path} ${problem}`).sort();
  } finally {
    // What a test has mounted there; else it is no mount, and nothing happens.
    new Deno.Command("umount", { args: ["-l", `${dir}/d`], stderr: "null" }).outputSync();
    Deno.removeSync(dir, { recursive: true });
  }
}

function forEach(name: string, body: (form: ApplyForm) => void): void {
  for (const form of ["overlay", "plain"] as const) {
    Deno.test({
      name: `LayerComparer in the ${form} form ${name}${isRoot ? "" : " (skipped: not root)"}`,
      ignore: !isRoot,
      fn: () => body(form),
    });
  }
}

const file = (name: string, data: string | Uint8Array = name): FixtureEntry => ({ name, data });
const dir = (name: string): FixtureEntry => ({ name, type: "5", mode: 0o755 });
const link = (name: string, to: string): FixtureEntry => ({ name, type: "2", link: to });

/** A sparse file of 3 MiB with data in its middle and nothing at its end. */
const sparse: FixtureEntry = {
  name: "GNUSparseFile.0/sparse",
  data: "middle",
  pax: {
    "GNU.sparse.major": "0",
    "GNU.sparse.minor": "1",
    "GNU.sparse.name": "sparse",
    "GNU.sparse.size": String(3 << 20),
    "GNU.sparse.map": `${1 << 20},6`,
  },
};

const everything: FixtureEntry[] = [
  dir("etc/"),
  file("etc/one", "one"),
  file("etc/two", "two"),
  file("large", new Uint8Array(700_000).map((_, at) => at * 7 >> 3)),
  file("empty", ""),
  link("lib", "usr/lib"),
  dir("usr/"),
  dir("usr/lib/"),
  file("lib/so", "behind a link"),
  { name: "etc/hard", type: "1", link: "etc/one" },
  { name: "pipe", type: "6" },
  { name: "null", type: "3", major: 1, minor: 3 },
  sparse,
  file("made/without/parents"),
  file("\u00fcmlaut"),
];

forEach("finds nothing in what was applied", (form) => {
  assert.deepEqual(compared(form, [everything]), []);
});

forEach("names what was damaged", (form) => {
  const found = compared(form, [everything], (dir) => {
    Deno.truncateSync(`${dir}/etc/one`);
    Deno.writeTextFileSync(`${dir}/etc/two`, "tvo");
    const large = Deno.readFileSync(`${dir}/large`);
    large[699_999]! ^= 1;
    Deno.writeFileSync(`${dir}/large`, large);
    Deno.writeTextFileSync(`${dir}/empty`, "x");
    Deno.writeTextFileSync(`${dir}/usr/lib/so`, "behind a lnik");
    for (const name of ["etc/hard", "pipe", "null", "made/without/parents"]) Deno.removeSync(`${dir}/${name}`);
    Deno.mkdirSync(`${dir}/pipe`);
    using hole = Deno.openSync(`${dir}/sparse`, { write: true });
    hole.seekSync(2 << 20, Deno.SeekMode.Start);
    hole.writeSync(new Uint8Array([1]));
  });
  assert.deepEqual(found, [
    "empty has 1 bytes instead of 0",
    "etc/hard is gone",
    "etc/one has 0 bytes instead of 3",
    "etc/two has other content",
    "large has other content",
    "lib/so has other content",
    "made/without/parents is gone",
    "null is gone",
    "pipe is a directory instead of a fifo",
    "sparse has other content",
  ]);
});

forEach("opens no fifo, device or link that lies in a file's place", (form) => {
  const outside = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(outside, "one");
    const found = compared(form, [[file("a", "one"), file("b", "one"), dir("d/"), file("d/c", "one")]], (dir) => {
      for (const name of ["a", "b", "d/c", "d"]) Deno.removeSync(`${dir}/${name}`);
      Deno.symlinkSync(outside, `${dir}/a`);
      assert(new Deno.Command("mkfifo", { args: [`${dir}/b`] }).outputSync().success);
      Deno.symlinkSync("/etc", `${dir}/d`);
    });
    assert.deepEqual(found, [
      "a is a symbolic link instead of a file",
      "b is a fifo instead of a file",
      "d is a symbolic link instead of a directory",
      "d/c is gone",
    ]);
  } finally {
    Deno.removeSync(outside);
  }
});

forEach("goes by the last entry of a name", (form) => {
  const twice = [
    file("a", "first"),
    file("a", "second"),
    dir("b/"),
    file("b/below"),
    file("b", "a file now"),
    link("l", "x"),
    dir("x/"),
    dir("y/"),
    file("l/f", "by x"),
    link("l", "y"),
    file("x/g", "old"),
    file("l/g", "of y"),
  ];
  assert.deepEqual(compared(form, [twice]), []);
  assert.deepEqual(compared(form, [twice], (dir) => Deno.writeTextFileSync(`${dir}/a`, "secomd")), [
    "a has other content",
  ]);
});

Deno.test({
  name: "LayerComparer in the overlay form knows marks of removed names",
  ignore: !isRoot,
  fn: () => {
    const layer = [
      file(".wh.gone"),
      dir("d/"),
      file("d/.wh..wh..opq"),
      file("d/own"),
      file(".wh.back"),
      file("back/x"),
    ];
    assert.deepEqual(compared("overlay", [layer]), []);
    const found = compared("overlay", [layer], (dir) => {
      Deno.removeSync(`${dir}/gone`);
      Deno.writeTextFileSync(`${dir}/gone`, "here again");
    });
    assert.deepEqual(found, ["gone is there, and should have been removed"]);
  },
});

Deno.test({
  name: "LayerComparer in the plain form forgets what later layers replace, remove or hide",
  ignore: !isRoot,
  fn: () => {
    const layers = [
      [
        dir("lib/"),
        file("lib/one", "1"),
        file("lib/two", "2"),
        dir("d/"),
        file("d/old"),
        dir("e/"),
        file("e/x"),
        file("kept", "kept"),
        file("r"),
      ],
      [
        file("r", "another"),
        file(".wh.e"),
        file("d/own"),
        file("d/.wh..wh..opq"),
        // A directory that becomes a link to where its files are now.
        dir("usr/"),
        dir("usr/lib/"),
        file("usr/lib/one", "one"),
        file(".wh.lib"),
        link("lib", "usr/lib"),
      ],
      [file("e/again"), file("lib/two", "two")],
    ];
    assert.deepEqual(compared("plain", layers), []);
    const found = compared("plain", layers, (dir) => {
      Deno.truncateSync(`${dir}/kept`);
      Deno.truncateSync(`${dir}/usr/lib/one`);
      Deno.truncateSync(`${dir}/usr/lib/two`);
      Deno.removeSync(`${dir}/d/own`);
    });
    assert.deepEqual(found, [
      "d/own is gone",
      "kept has 0 bytes instead of 4",
      "lib/two has 0 bytes instead of 3",
      "usr/lib/one has 0 bytes instead of 3",
    ]);
  },
});

Deno.test({
  name: "LayerComparer does not look into what is mounted below",
  ignore: !isRoot,
  fn: () => {
    for (const form of ["overlay", "plain"] as const) {
      const entries = [dir("d/"), file("d/a", "a"), file("d/n"), file("b", "b")];
      const found = compared(form, [entries], (dir) => {
        assert(new Deno.Command("mount", { args: ["-t", "tmpfs", "test", `${dir}/d`] }).outputSync().success);
        Deno.writeTextFileSync(`${dir}/d/a`, "b");
        Deno.truncateSync(`${dir}/b`);
      });
      assert.deepEqual(found, ["b has 0 bytes instead of 1"]);
    }
  },
});
