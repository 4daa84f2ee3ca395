import { deepEqual, equal, rejects } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { openStore } from "../store.ts";
import { adoptRow, type ForeignSnapshot } from "./adopt_row.ts";
import { adoptedId } from "./directory_number.ts";
import { SnapshotRows } from "./snapshot_rows.ts";

const id = (number: number) => adoptedId("overlayfs", number);
const foreign = (key: string, number: number | undefined, more: Partial<ForeignSnapshot> = {}): ForeignSnapshot => ({
  ...{ key, kind: "active", parent: null, created: 10, updated: 20, labels: { a: key } },
  ...more,
  id: number === undefined ? undefined : id(number),
});

async function withRows(
  body: (
    adopt: (snapshot: ForeignSnapshot) => Promise<boolean>,
    rows: SnapshotRows,
    other: SnapshotRows,
  ) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "barge-adopt-row-" });
  try {
    using store = await openStore(root);
    const rows = new SnapshotRows(store.objects, "overlayfs");
    using elsewhere = await openStore(root, { namespace: "other" });
    const adopt = (snapshot: ForeignSnapshot) => store.database.transaction(() => adoptRow(rows, snapshot));
    await body(adopt, rows, new SnapshotRows(elsewhere.objects, "overlayfs"));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("adoptRow() keeps times, labels and directory, and takes over what has changed", () =>
  withRows(async (adopt, rows) => {
    equal(await adopt(foreign("base", 1, { kind: "committed" })), true);
    equal(await adopt(foreign("top", 2, { parent: "base" })), true);
    equal(await adopt(foreign("top", 2, { parent: "base", updated: 30, labels: { b: "c" } })), true);
    const row = rows.get("top");
    deepEqual([row.id, row.kind, row.parent, row.created, row.updated], [id(2), "active", "base", 10, 30]);
    deepEqual(rows.labels(row), { b: "c" });
    deepEqual(rows.parents(row).map(({ key }) => key), ["base"]);
  }));

Deno.test("adoptRow() follows a commit, and a name that was used again", () =>
  withRows(async (adopt, rows) => {
    await adopt(foreign("work", 1));
    await adopt(foreign("done", 1, { kind: "committed" }));
    equal(rows.find("work"), undefined);
    await adopt(foreign("work", 2, { parent: "done" }));
    await adopt(foreign("other", 3, { kind: "committed" }));
    await adopt(foreign("work", 4, { parent: "other" }));
    deepEqual([rows.get("work").id, rows.get("work").parent], [id(4), "other"]);
    // The former parent is let go.
    const refs = rows.objects.database.all<{ to_key: string }>(
      "SELECT to_key FROM refs WHERE from_key = 'overlayfs/work' AND name = 'parent'",
    );
    deepEqual(refs.map((ref) => ref.to_key), ["overlayfs/other"]);
    equal(rows.objects.database.all("SELECT 1 FROM snapshots").length, 3);
  }));

Deno.test("adoptRow() gives a view on a snapshot an id of ours, once", () =>
  withRows(async (adopt, rows) => {
    await adopt(foreign("base", 1, { kind: "committed" }));
    const view = foreign("view", undefined, { kind: "view", parent: "base" });
    await adopt(view);
    const first = rows.get("view").id;
    equal(first > 0, true);
    await adopt({ ...view, updated: 40, labels: {} });
    deepEqual([rows.get("view").id, rows.get("view").updated, rows.labels(rows.get("view"))], [first, 40, {}]);
  }));

Deno.test("adoptRow() leaves what was changed here later, and what was made here", () =>
  withRows(async (adopt, rows, other) => {
    await adopt(foreign("one", 1, { updated: 50 }));
    equal(await adopt(foreign("one", 1, { updated: 49, labels: {} })), false);
    deepEqual(rows.labels(rows.get("one")), { a: "one" });
    await rows.objects.database.transaction(() => rows.insert("mine", "active", undefined, { x: "y" }));
    const taken = (text: RegExp) => (error: unknown) => {
      equal(isFailure(error, "AlreadyExists"), true);
      return text.test(String(error));
    };
    await rejects(adopt(foreign("mine", 7)), taken(/another snapshot of this name/));
    await rejects(adopt(foreign("mine", undefined, { kind: "view" })), taken(/another snapshot of this name/));
    // Committed here, active over there: the directory is ours by now.
    await rows.objects.database.transaction(() => rows.commit(rows.get("one"), "committed here", undefined, {}));
    await rejects(adopt(foreign("one", 1)), taken(/is that of snapshot "committed here" here/));
    await rejects(adopt(foreign("elsewhere", 1, { kind: "committed" })), taken(/is that of snapshot "committed here"/));
    await other.objects.database.transaction(() => adoptRow(other, foreign("theirs", 9)));
    await rejects(adopt(foreign("theirs", 9, { kind: "committed" })), taken(/is that of snapshot "theirs" here/));
    deepEqual(rows.labels(rows.get("mine")), { x: "y" });
    equal(rows.find("one"), undefined);
  }));

Deno.test("adoptRow() adds nothing to what is missing or not committed", () =>
  withRows(async (adopt, rows) => {
    await rejects(adopt(foreign("top", 2, { parent: "base" })), (error) => isFailure(error, "NotFound"));
    await adopt(foreign("base", 1));
    await rejects(adopt(foreign("top", 2, { parent: "base" })), (error) => isFailure(error, "InvalidArgument"));
    equal(rows.find("top"), undefined);
  }));
