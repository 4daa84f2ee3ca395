import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { checkLabels, labelRefs } from "./label_refs.ts";

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

Deno.test("checkLabels() counts bytes of key and value together", () => {
  checkLabels({ k: "v".repeat(4095) });
  assert.throws(
    () => checkLabels({ k: "ü".repeat(2048) }),
    (e) => e instanceof Failure && /4097 bytes/.test(e.message),
  );
});
