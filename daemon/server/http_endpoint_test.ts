import assert from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { serveHttp } from "./http_endpoint.ts";
import { MetricRegistry } from "./metric_registry.ts";
import { metricsPage } from "./metrics_page.ts";
import { addProcessMetrics } from "./process_metrics.ts";
import { isLoopback, parseTcpAddress } from "./tcp_address.ts";

const own = { uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 };

Deno.test("serveHttp() serves metrics on TCP, and says where a port is taken", async () => {
  const registry = new MetricRegistry();
  addProcessMetrics(registry);
  const endpoint = await serveHttp({ address: "127.0.0.1:0", ...own }, metricsPage(registry));
  const response = await fetch(`http://${endpoint.address}/v1/metrics`);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  const body = await response.text();
  assert.match(body, /^process_resident_memory_bytes [1-9]\d{6,}$/m);
  assert.match(body, /^process_start_time_seconds 1\d{9}/m);
  assert.equal(await (await fetch(`http://${endpoint.address}/`)).text(), "404 page not found\n");
  await assert.rejects(
    serveHttp({ address: endpoint.address, ...own }, metricsPage(registry)),
    (error) => error instanceof Failure && error.code === "Unavailable" && /is in use/.test(error.message),
  );
  await endpoint.close();
});

Deno.test("serveHttp() serves on a unix socket of mode 0660, which goes with it", async () => {
  const directory = await Deno.makeTempDir();
  const address = `${directory}/debug.sock`;
  const endpoint = await serveHttp({ address, ...own }, () => new Response("here"));
  assert.equal(Deno.lstatSync(address).mode! & 0o777, 0o660);
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: address } });
  assert.equal(await (await fetch("http://debug/", { client })).text(), "here");
  client.close();
  await endpoint.close();
  assert.throws(() => Deno.lstatSync(address), Deno.errors.NotFound);
  await Deno.remove(directory, { recursive: true });
});

Deno.test("parseTcpAddress() takes hosts, IPv6 in brackets and no host, and nothing else", () => {
  assert.deepEqual(parseTcpAddress("127.0.0.1:1338"), { hostname: "127.0.0.1", port: 1338 });
  assert.deepEqual(parseTcpAddress("[::1]:0"), { hostname: "::1", port: 0 });
  assert.deepEqual(parseTcpAddress(":80"), { hostname: "0.0.0.0", port: 80 });
  for (const text of ["", "localhost", "::1:80", "a:65536", "a:-1", "[::1]", "unix:/x"]) {
    assert.throws(() => parseTcpAddress(text), /no address to listen on/, text);
  }
  assert.deepEqual(
    ["localhost:1", "127.9.9.9:1", "[::1]:1", ":1", "10.0.0.1:1"].map((text) => isLoopback(parseTcpAddress(text))),
    [true, true, true, false, false],
  );
});
