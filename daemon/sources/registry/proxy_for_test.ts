import assert from "node:assert/strict";
import { noProxyCases } from "./proxy_cases.ts";
import { proxyFor } from "./proxy_for.ts";

const among = (variables: Record<string, string>) => (name: string): string | undefined => variables[name];

Deno.test("proxyFor() takes NO_PROXY as Go does", () => {
  for (const [noProxy, host, isDirect] of noProxyCases) {
    for (const name of ["NO_PROXY", "no_proxy"]) {
      const proxy = proxyFor(new URL(`http://${host}/`), among({ HTTP_PROXY: "http://p:1", [name]: noProxy }));
      assert.equal(proxy, isDirect ? undefined : "http://p:1", `${name}=${noProxy} for ${host}`);
    }
  }
});

Deno.test("proxyFor() looks at the variables of the scheme, upper case first, and at nothing else", () => {
  const [plain, secure] = [new URL("http://reg.test/"), new URL("https://reg.test/")];
  const both = among({ HTTP_PROXY: "upper:1", http_proxy: "lower:1", https_proxy: "https://secure", HTTPS_PROXY: "" });
  assert.equal(proxyFor(plain, both), "http://upper:1");
  assert.equal(proxyFor(secure, both), "https://secure");
  assert.equal(proxyFor(plain, among({ ALL_PROXY: "http://p:1" })), undefined);
  assert.equal(proxyFor(secure, among({ HTTP_PROXY: "http://p:1" })), undefined);
  assert.equal(proxyFor(plain, among({ HTTP_PROXY: "x:1", NO_PROXY: "reg.test:80" })), undefined);
  assert.equal(proxyFor(secure, among({ HTTPS_PROXY: "x:1", NO_PROXY: "reg.test:443" })), undefined);
  assert.throws(() => proxyFor(plain, among({ HTTP_PROXY: "x:1", REQUEST_METHOD: "GET" })), /CGI/);
});
