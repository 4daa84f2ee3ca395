import assert from "node:assert/strict";
import { defaultPlaces, groupingOf, placesOf } from "./grouping.ts";

Deno.test("groupingOf() and placesOf() take what the daemon says, and have containerd's shims' grouping without it", () => {
  assert.deepEqual(["", undefined, "container", "namespace"].map(groupingOf), ["pod", "pod", "container", "namespace"]);
  assert.deepEqual(["", undefined, "1", "1000"].map(placesOf), [defaultPlaces, defaultPlaces, 1, 1_000]);
  for (const text of ["0", "1001", "-1", "1e2", " 5", "many"]) {
    assert.throws(() => placesOf(text), { code: "InvalidArgument", message: /want 1 to 1000$/ }, text);
  }
  assert.throws(() => groupingOf("node"), { code: "InvalidArgument" });
});
