import assert from "node:assert/strict";
import { isFailure } from "../../../api/errors.ts";
import { parseJson, stringifyJson } from "./json.ts";

Deno.test("parseJson() refuses what is nested too deep, and stringifyJson() writes all that it takes", () => {
  const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`;
  for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
    const text = nested(1_000, open, close);
    assert.equal(stringifyJson(parseJson(text, "it")), text);
    for (const depth of [1_001, 1_000_000]) {
      assert.throws(
        () => parseJson(nested(depth, open, close), "it"),
        (error) => isFailure(error, "InvalidArgument") && /^it is nested too deep/.test(error.message),
      );
    }
  }
  // Wide is not deep, and what stands in texts does not count.
  const wide = JSON.stringify({ list: Array(5_000).fill({}), text: "[".repeat(5_000), quoted: `\\"[{`.repeat(5_000) });
  assert.equal(stringifyJson(parseJson(wide, "it")), wide);
});
