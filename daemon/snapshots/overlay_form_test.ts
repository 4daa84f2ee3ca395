import assert from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { idMappingOf, mappingLabels } from "./id_mapping.ts";
import { makeOverlayForm, upperdirLabel } from "./overlay_form.ts";

const noSignal = new AbortController().signal;
const snapshot = { directory: "/d/3", kind: "active", parents: ["/d/2", "/d/1"], labels: {} } as const;
const layers = ["workdir=/d/3/work", "upperdir=/d/3/fs", "lowerdir=/d/2/fs:/d/1/fs"];
const mapping = { [mappingLabels.uid]: "0:100000:65536", [mappingLabels.gid]: "1:7:1,0:200000:65536" };
const mapped = ["uidmap=0:100000:65536", "gidmap=1:7:1,0:200000:65536"];

Deno.test("makeOverlayForm() puts configured options last, and they win against the default ones", () => {
  const form = makeOverlayForm({ mountOptions: ["index=on", "userxattr", "volatile"] });
  assert.deepEqual(form.mounts(snapshot)[0]!.options, [...layers, "index=on", "userxattr", "volatile"]);
  const [plain] = makeOverlayForm().mounts(snapshot);
  assert.deepEqual(plain!.options.slice(0, 3), layers);
  assert.ok(plain!.options.slice(3).every((option) => option === "index=off" || option === "userxattr"));
});

Deno.test("makeOverlayForm() shows the upper directory in a label where it is configured to", () => {
  assert.equal(makeOverlayForm().labels, undefined);
  assert.deepEqual(makeOverlayForm({ upperdirLabel: true }).labels?.("/d/3"), { [upperdirLabel]: "/d/3/fs" });
});

Deno.test("makeOverlayForm() maps users in every kind of mount, first of all options", () => {
  const form = makeOverlayForm({ mapsIds: true, mountOptions: ["index=off", "userxattr"] });
  const options = (part: Partial<Parameters<typeof form.mounts>[0]>) =>
    form.mounts({ ...snapshot, labels: mapping, ...part })[0]!.options;
  assert.deepEqual(options({}), [...mapped, ...layers, "index=off", "userxattr"]);
  assert.deepEqual(options({ parents: [] }), [...mapped, "rw", "rbind"]);
  assert.deepEqual(options({ kind: "view", parents: ["/d/1"] }), [...mapped, "ro", "rbind"]);
  // The client changes the owners itself then.
  const slow = makeOverlayForm({ mapsIds: false, slowChown: true });
  assert.deepEqual(slow.mounts({ ...snapshot, labels: mapping, parents: [] })[0]!.options, ["rw", "rbind"]);
});

Deno.test({
  name: `makeOverlayForm() gives the mapped root the upper directory (${
    Deno.uid() === 0 ? "runs here" : "needs root"
  })`,
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "barge-overlay-form-" });
    try {
      await makeOverlayForm({ mapsIds: true }).fill({ ...snapshot, directory, parents: [], labels: mapping }, noSignal);
      const { uid, gid } = await Deno.stat(`${directory}/fs`);
      assert.deepEqual([uid, gid], [100000, 200000]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("makeOverlayForm() refuses to map users where the kernel cannot", () => {
  const form = makeOverlayForm({ mapsIds: false });
  assert.throws(
    () => form.fill({ ...snapshot, labels: mapping }, noSignal),
    (error) => isFailure(error, "FailedPrecondition") && /Linux 5\.19/.test(error.message),
  );
});

Deno.test("idMappingOf() refuses labels that are no mapping", () => {
  assert.equal(idMappingOf({ other: "x" }), undefined);
  const bad = (labels: Record<string, string>, text: RegExp) =>
    assert.throws(
      () => idMappingOf(labels),
      (error) => isFailure(error, "InvalidArgument") && text.test(error.message),
    );
  bad({ [mappingLabels.uid]: "0:1:1" }, /belong together/);
  for (const text of ["", "0:1", "0:1:0", "a:b:c", "0:1:1,", "0:-1:1", "0:1:4294967295", "1:1:1"]) {
    bad({ [mappingLabels.uid]: text, [mappingLabels.gid]: "0:1:1" }, /want containerID|maps no root/);
  }
});
