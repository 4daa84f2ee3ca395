import assert from "node:assert/strict";
import { resolveInRoot } from "./resolve_in_root.ts";

Deno.test("resolveInRoot() follows links inside the root, also to what does not exist, and ends loops", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${root}/var`);
    await Deno.symlink("/run", `${root}/var/run`);
    await Deno.symlink("../../../../etc", `${root}/var/up`);
    await Deno.symlink("loop", `${root}/loop`);
    assert.equal(resolveInRoot(root, "/var/run/lock"), "/run/lock");
    assert.equal(resolveInRoot(root, "/var/up/x"), "/etc/x");
    assert.equal(resolveInRoot(root, "plain/path"), "/plain/path");
    assert.equal(resolveInRoot(root, "/loop/x"), "/loop/x");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
