import { deepEqual, equal } from "node:assert/strict";
import { readDocument } from "./document.ts";
import { quoteKey, quoteText } from "./key.ts";
import { showOrigin } from "./tree.ts";
import { writeDocument } from "./write.ts";

Deno.test("quoteText() and quoteKey() quote only as much as needed", () => {
  deepEqual(["a", "", "it's", 'say "x"', "a\tb\\", "a\nb\x7f"].map(quoteText), [
    "'a'",
    "''",
    '"it\'s"',
    "'say \"x\"'",
    "'a\tb\\'",
    '"a\\nb\\u007F"',
  ]);
  deepEqual(["a-b_1", "a.b", "", "é"].map(quoteKey), ["a-b_1", "'a.b'", "''", "'é'"]);
});

const example = `i = -5
f = 1.0
e = 1e+30
n = [inf, -inf, nan]
b = true
d = 1979-05-27T07:32:00.000Z
big = 9223372036854775807
s = "a'b\\nc"
mixed = [1, {a = 'x', 'b.c' = []}]

[t]
  x = 1

  [t.empty]

[[blocks]]
  a = 1

  [blocks.inner]
    b = 2

[[blocks]]

[only]
  [only.nested]
    x = 1
`;

Deno.test("writeDocument() writes containerd's form, which reads as the same", async () => {
  const tree = await readDocument(example, "f");
  equal(writeDocument(tree), example);
});

Deno.test("writeDocument() puts remarks behind values, on one line", async () => {
  const tree = await readDocument("a = 1\n[t]\n b = 2", "f");
  const text = writeDocument(tree, { remark: ({ at }) => `${showOrigin(at)}\n[x]` });
  equal(text, "a = 1 # f:1:1?[x]\n\n[t]\n  b = 2 # f:3:2?[x]\n");
});
