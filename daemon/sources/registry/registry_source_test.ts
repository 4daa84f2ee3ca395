import assert from "node:assert/strict";
import { answer, blob, failure, FakeRegistry, isBlob, layer, manifest, pull } from "./fake_registry.ts";

Deno.test("RegistrySource resolves by HEAD and reads manifest and blob", async () => {
  await using registry = new FakeRegistry();
  const pulled = await pull(registry.host);
  assert.deepEqual(pulled.root, manifest);
  assert.deepEqual(pulled.layer, blob);
  assert.deepEqual(registry.paths(), [
    "HEAD /v2/app/manifests/1",
    `GET /v2/app/manifests/${manifest.digest}`,
    `GET /v2/app/blobs/${layer.digest}`,
  ]);
  assert.equal(registry.requests[0]?.authorization, null);
});

Deno.test("RegistrySource speaks plain HTTP to loopback only without being told", async () => {
  await using registry = new FakeRegistry();
  assert.deepEqual((await pull(registry.host, { plainHttp: false })).layer, blob);
});

Deno.test("RegistrySource resolves by GET where HEAD is not allowed or tells no digest", async () => {
  for (const head of [405, 403, 200]) {
    await using registry = new FakeRegistry((request) => request.method === "HEAD" ? answer(head) : undefined);
    const pulled = await pull(registry.host);
    assert.deepEqual(pulled.root, manifest);
    assert.equal(
      registry.requests.filter(({ path }) => path.includes("manifests")).length,
      2,
      "the root is fetched once",
    );
  }
});

Deno.test("RegistrySource.open() resumes at an offset, with and without ranges on the other side", async () => {
  await using ranges = new FakeRegistry();
  assert.deepEqual((await pull(ranges.host, {}, 1000)).layer, blob.subarray(1000));
  assert.equal(ranges.requests.at(-1)?.range, "bytes=1000-");
  await using none = new FakeRegistry((_, url) => isBlob(url) ? new Response(blob) : undefined);
  assert.deepEqual((await pull(none.host, {}, 1000)).layer, blob.subarray(1000));
  assert.deepEqual((await pull(none.host, {}, blob.length)).layer, new Uint8Array());
  assert(!none.requests.slice(3).some(({ path }) => path.includes("/blobs/")), "nothing is asked for at the end");
  await using wrong = new FakeRegistry((_, url) =>
    isBlob(url)
      ? new Response(blob.subarray(5), { status: 206, headers: { "Content-Range": "bytes 5-9/10" } })
      : undefined
  );
  await assert.rejects(pull(wrong.host, {}, 1000), failure("DataLoss", /answers with byte 5 instead of byte 1000/));
});

Deno.test("RegistrySource tries a foreign layer's own addresses first, without login", async () => {
  await using foreign = new FakeRegistry((_, url) => url.pathname === "/layer" ? new Response(blob) : answer(404));
  await using registry = new FakeRegistry((request) =>
    request.headers.get("authorization") === null ? answer(401, { "WWW-Authenticate": 'Basic realm="x"' }) : undefined
  );
  const urls = ["ftp://x/y", `http://${foreign.host}/gone`, `http://${foreign.host}/layer`];
  const credentials = { username: "bob", password: "x" };
  assert.deepEqual((await pull(registry.host, { credentials }, 0, { urls })).layer, blob);
  assert.deepEqual(foreign.requests.map(({ path, authorization }) => [path, authorization]), [["/gone", null], [
    "/layer",
    null,
  ]]);
  assert(!registry.paths().some((path) => path.includes("blobs")));
});

Deno.test("RegistrySource takes no length of an encoded HEAD for the manifest's size", async () => {
  await using registry = new FakeRegistry((request) =>
    request.method === "HEAD"
      ? answer(200, {
        "Content-Type": manifest.mediaType,
        "Docker-Content-Digest": manifest.digest,
        "Content-Encoding": "gzip",
        "Content-Length": "41",
      })
      : undefined
  );
  const pulled = await pull(registry.host);
  assert.deepEqual(pulled.root, manifest);
});
