import { deepStrictEqual as equal } from "node:assert/strict";
import { joinLowers, splitLowers } from "./lower_directories.ts";

Deno.test("joinLowers() and splitLowers() keep every name", () => {
  for (const names of [["/a"], ["/a", "/b"], ["/a:b", "/c d"], ["a\\", ":"], ["\\:", "x", "::"], ["/a", "", "/data"]]) {
    equal(splitLowers(joinLowers(names)), names);
  }
  equal(joinLowers(["/a:b", "/c"]), "/a\\:b:/c");
  equal(splitLowers("/plain:/other"), ["/plain", "/other"]);
});
