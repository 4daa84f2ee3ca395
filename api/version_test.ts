import assert from "node:assert/strict";
import { buildOf, buildVersion, version } from "./version.ts";

Deno.test("buildOf() reads the build from the path of the Deno that runs it", () => {
  assert.equal(buildOf("/usr/local/lib/barge/0123456789ab/lib/barge/deno"), "0123456789ab");
  assert.equal(buildOf("/usr/local/lib/barge/deno"), "");
  assert.equal(buildOf("/root/.cache/deno"), "");
});

Deno.test("buildVersion() tells builds of one version apart", () => {
  assert.equal(buildVersion("/p/lib/barge/0123456789ab/lib/barge/deno"), `${version}+0123456789ab`);
  assert.equal(buildVersion("/usr/bin/deno"), version);
});
