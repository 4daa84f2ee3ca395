import assert from "node:assert/strict";
import { slicePath, type UnitName, unitOf } from "./unit_name.ts";

Deno.test("unitOf() reads slice:prefix:name, and has runc's defaults", () => {
  const cases: [string | undefined, UnitName][] = [
    ["machine.slice:libpod:0a1", { slice: "machine.slice", stem: "0a1", name: "libpod-0a1.scope" }],
    [":docker:0a1", { slice: "system.slice", stem: "0a1", name: "docker-0a1.scope" }],
    ["a-b.slice::box", { slice: "a-b.slice", stem: "box", name: "-box.scope" }],
    [undefined, { slice: "system.slice", stem: "box", name: "runc-box.scope" }],
    ["", { slice: "system.slice", stem: "box", name: "runc-box.scope" }],
  ];
  for (const [path, unit] of cases) assert.deepEqual(unitOf(path, "box", false), unit, path);
  assert.equal(unitOf(undefined, "box", true).slice, "user.slice");
});

Deno.test("unitOf() refuses other forms in runc's words", () => {
  for (const path of ["/kubepods/pod1", "a:b", "a:b:c:d", "box"]) {
    assert.throws(() => unitOf(path, "box", false), {
      message: `expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "${path}" instead`,
    });
  }
});

Deno.test("unitOf() refuses names that no unit can have, before one becomes a path", () => {
  for (const name of ["../../x", "a b", "a+b", "x".repeat(256), "a\nb"]) {
    assert.throws(
      () => unitOf(`system.slice:barge:${name}`, "box", false),
      /^Failure: Unit name .* is not valid\.$/s,
      name,
    );
  }
});

Deno.test("unitOf() refuses a slice, which systemd would have as broken from then on", () => {
  assert.throws(() => unitOf("a.slice:box:a-c.slice", "box", false), /unable to start unit "a-c\.slice": a slice has/);
});

Deno.test("slicePath() puts a slice below those that its name begins with", () => {
  assert.equal(slicePath("system.slice"), "/system.slice");
  assert.equal(slicePath("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
  assert.equal(slicePath("-.slice"), "");
  for (const slice of [".slice", "a", "a.scope", "-a.slice", "a--b.slice", "a-.slice", "a/b.slice", "../x.slice", ""]) {
    assert.throws(() => slicePath(slice), { message: `invalid slice name: ${slice}` });
  }
});
