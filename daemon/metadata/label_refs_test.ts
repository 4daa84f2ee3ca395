import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { checkLabelNames, checkLabels, labelBackRefs, labelRefs } from "./label_refs.ts";

Deno.test("labelRefs() finds content, images and snapshots behind every form of label", () => {
  const refs = labelRefs({
    "containerd.io/gc.ref.content": "sha256:a",
    "containerd.io/gc.ref.content.l.0": "sha256:b",
    "containerd.io/gc.ref.content/x": "sha256:c",
    "containerd.io/gc.ref.image.base": "debian",
    "containerd.io/gc.ref.snapshot.over.layfs": "k1",
    "containerd.io/gc.ref.snapshot.native/second": "k2",
    "containerd.io/gc.ref.contents": "no",
    "containerd.io/uncompressed": "no",
  });
  assert.deepEqual(refs.map(({ kind, key }) => `${kind} ${key}`), [
    "content sha256:a",
    "content sha256:b",
    "content sha256:c",
    "image debian",
    "snapshot over.layfs/k1",
    "snapshot native/k2",
  ]);
});

Deno.test("labelBackRefs() reads what its holder lives with, containers as well", () => {
  const refs = labelBackRefs({
    "containerd.io/gc.bref.container": "c1",
    "containerd.io/gc.bref.content.x": "sha256:a",
    "containerd.io/gc.bref.image/main": "debian",
    "containerd.io/gc.bref.snapshot.over.layfs/2": "k",
    "containerd.io/gc.bref.images": "no",
    "containerd.io/gc.ref.image": "no",
  });
  assert.deepEqual(refs.map(({ kind, key }) => `${kind} ${key}`), [
    "container c1",
    "content sha256:a",
    "image debian",
    "snapshot over.layfs/k",
  ]);
  assert.deepEqual(labelRefs({ "containerd.io/gc.ref.container": "c1" }), []);
});

Deno.test("checkLabels() counts bytes of key and value together", () => {
  checkLabels({ k: "v".repeat(4095) });
  assert.throws(
    () => checkLabels({ k: "ü".repeat(2048) }),
    (e) =>
      e instanceof Failure && /length \(4097 bytes\) greater than maximum size \(4096 bytes\), key: k$/.test(e.message),
  );
});

Deno.test("checkLabelNames() refuses a label that has a value and no name, in the words of its kind", () => {
  checkLabelNames({ "": "", a: "b" }, "image", "x");
  const cases: [Parameters<typeof checkLabelNames>[1], string][] = [
    ["container", 'failed to write container "x": failed to set label ""="v": key required'],
    ["image", 'writing labels for image x: failed to set label ""="v": key required'],
    ["content", 'writing labels for info x: failed to set label ""="v": key required'],
    ["snapshot", 'failed to read labels: failed to set label ""="v": key required'],
    ["lease", 'failed to set label ""="v": key required'],
    ["namespace", "key required"],
  ];
  for (const [kind, message] of cases) assert.throws(() => checkLabelNames({ "": "v" }, kind, "x"), { message });
});
