import assert from "node:assert/strict";
import { parseSignature, type Type } from "./signature.ts";

function text({ code, children }: Type): string {
  const inner = children.map(text).join("");
  return code === "(" ? `(${inner})` : code === "{" ? `{${inner}}` : code + inner;
}

Deno.test("parseSignature() gives the complete types of a signature", () => {
  const types = parseSignature("ssa(sv)a(sa(sv))a{sv}ayo");
  assert.deepEqual(types.map(text), ["s", "s", "a(sv)", "a(sa(sv))", "a{sv}", "ay", "o"]);
  assert.deepEqual(parseSignature(""), []);
});

Deno.test("parseSignature() refuses what is no signature, and what is nested too deep", () => {
  const bad = ["a", "(", "(s", ")", "()", "{ss}", "a{s}", "a{vs}", "a{sss}", "z", "a{s", "é", "s".repeat(256)];
  for (const signature of [...bad, `${"a".repeat(33)}s`, `${"(".repeat(33)}s${")".repeat(33)}`]) {
    assert.throws(() => parseSignature(signature), /is no D-Bus signature/, signature);
  }
  assert.equal(parseSignature(`${"a".repeat(32)}s`).length, 1);
});
