import { deepEqual, throws } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import { applyMask, labelPaths, type MaskTable } from "./field_mask.ts";

interface Thing {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly size: number;
}

const table: MaskTable<Thing> = {
  fields: { ...labelPaths.fields, size: (stored, { size }) => ({ ...stored, size }) },
  entries: labelPaths.entries,
  place: ({ name }) => ` on thing "${name}"`,
};
const stored: Thing = { name: "t", labels: { a: "1", "b.c/d": "2" }, size: 1 };
const given: Thing = { name: "t", labels: { a: "x", n: "y" }, size: 7 };

Deno.test("applyMask() takes over fields and entries in order, and nothing else", () => {
  deepEqual(applyMask(table, ["labels"], stored, given), { ...stored, labels: given.labels });
  deepEqual(applyMask(table, ["labels.n", "size"], stored, given), {
    ...stored,
    labels: { ...stored.labels, n: "y" },
    size: 7,
  });
  deepEqual(applyMask(table, ["labels.b.c/d"], stored, given).labels, { a: "1", "b.c/d": "" });
  deepEqual(applyMask(table, [], stored, given), stored);
  deepEqual(stored.labels, { a: "1", "b.c/d": "2" });
});

Deno.test("applyMask() refuses paths that the table has not, in containerd's words", () => {
  for (const path of ["bogus", "", "size.x", "constructor", "constructor.x", "name", "Labels"]) {
    throws(
      () => applyMask(table, ["labels", path], stored, given),
      (error) => isFailure(error, "InvalidArgument") && error.message === `cannot update "${path}" field on thing "t"`,
    );
  }
});

Deno.test("withLabel() does not take what every object has for a label", () => {
  deepEqual(applyMask(table, ["labels.toString"], stored, given).labels["toString"], "");
});
