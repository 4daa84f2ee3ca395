import assert from "node:assert/strict";
import { base, blob, FakeRegistry, pull } from "./fake_registry.ts";

const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy"];

/** Runs the body with these variables in the place of what there is of proxies, which must be as it was afterwards. */
async function withVariables(variables: Record<string, string>, body: () => Promise<void>): Promise<void> {
  const before = names.map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const name of names) Deno.env.delete(name);
    for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
    await body();
    for (const name of names) assert.equal(Deno.env.get(name), variables[name], name);
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

Deno.test("createClient() reaches loopback past a proxy and leaves the environment as it was", async () => {
  await using registry = new FakeRegistry();
  await withVariables({ HTTP_PROXY: "http://127.0.0.1:1", no_proxy: "example.com" }, async () => {
    assert.deepEqual((await pull(registry.host, base)).layer, blob);
  });
});

Deno.test("createClient() uses the proxy of the scheme, with its login, where NO_PROXY does not name the host", async () => {
  await using proxy = new FakeRegistry();
  const HTTP_PROXY = `http://me:secret@${proxy.host}`;
  // Deno's own reading would keep the proxy away from the first host, and use it for the second.
  await withVariables({ HTTP_PROXY, NO_PROXY: "reg.invalid:81", ALL_PROXY: "http://127.0.0.1:1" }, async () => {
    assert.deepEqual((await pull("reg.invalid:80", base)).layer, blob);
    assert.equal(proxy.requests[0]!.headers.get("proxy-authorization"), `Basic ${btoa("me:secret")}`);
  });
  const { length } = proxy.requests;
  await withVariables({ HTTP_PROXY, NO_PROXY: "*.reg.invalid" }, async () => {
    await assert.rejects(pull("a.reg.invalid:80", { ...base, limits: { triesMax: 1 } }));
    assert.equal(proxy.requests.length, length, "the proxy was asked");
  });
});
