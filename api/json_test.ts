import assert from "node:assert/strict";
import { parseExact, stringifyExact } from "./json.ts";

Deno.test("parseExact() and stringifyExact() keep all digits of 64-bit numbers", () => {
  const text = '{"value":18446744073709551615,"small":7,"rate":1.5}';
  const value = parseExact(text) as { value: bigint };
  assert.equal(value.value, 0xffffffffffffffffn);
  assert.equal(stringifyExact(value), text);
});

Deno.test("parseExact() leaves fractions, exponents and texts alone", () => {
  assert.deepEqual(parseExact('[1e300, "12345678901234567890", 0.1234567890123456789]'), [
    1e300,
    "12345678901234567890",
    0.1234567890123456789,
  ]);
});
