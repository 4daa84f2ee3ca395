import assert from "node:assert/strict";
import { compileFilters, exactValues } from "./compile.ts";

const image: Record<string, string> = { name: "docker.io/library/alpine:3", "labels.a.b": "x", empty: "" };
const matches = (...filters: string[]) => compileFilters(filters)((path) => image[path.join(".")]);

Deno.test("compileFilters() holds where any filter does, and a filter where all its selectors do", () => {
  assert.ok(matches());
  assert.ok(matches("name==x", ""));
  assert.ok(matches("name==x", "labels.a.b==x"));
  assert.ok(matches("name~=alpine,labels.a.b==x"));
  assert.ok(!matches("name~=alpine,labels.a.b==y"));
});

Deno.test("compileFilters() takes absent fields as containerd does", () => {
  assert.ok(!matches("absent"));
  assert.ok(!matches('absent==""'));
  assert.ok(matches("absent!=a"));
  assert.ok(!matches('absent!=""'));
  assert.ok(matches("absent~=^$"));
  assert.ok(matches("empty"));
  assert.ok(matches('empty==""'));
});

Deno.test("compileFilters() never matches an invalid regular expression", () => {
  assert.ok(!matches("name~=/[/"));
  assert.ok(matches("name~=/[/", "name"));
});

Deno.test("exactValues() names the only values that can pass", () => {
  assert.deepEqual(exactValues(["name==a,labels.x", "name==b", "name==a"], ["name"]), ["a", "b"]);
  assert.deepEqual(exactValues(["target.digest==d"], ["target", "digest"]), ["d"]);
  assert.equal(exactValues([], ["name"]), undefined);
  assert.equal(exactValues(["name==a", ""], ["name"]), undefined);
  assert.equal(exactValues(["name==a", "labels.x==b"], ["name"]), undefined);
  assert.equal(exactValues(["name!=a"], ["name"]), undefined);
});
