import assert from "node:assert/strict";
import { base, blob, FakeRegistry, pull } from "./fake_registry.ts";

Deno.test("createClient() reaches loopback past a proxy and leaves the environment as it was", async () => {
  await using registry = new FakeRegistry();
  const before = Deno.env.toObject();
  try {
    Deno.env.set("HTTP_PROXY", "http://127.0.0.1:1");
    Deno.env.set("no_proxy", "example.com");
    assert.deepEqual((await pull(registry.host, base)).layer, blob);
    assert.equal(Deno.env.get("no_proxy"), "example.com");
    assert.equal(Deno.env.get("NO_PROXY"), before["NO_PROXY"]);
  } finally {
    for (const name of ["HTTP_PROXY", "no_proxy"]) {
      const value = before[name];
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});
