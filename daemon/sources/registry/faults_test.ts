import assert from "node:assert/strict";
import { type Code, Failure } from "../../../api/errors.ts";
import { mediaTypes } from "../../../api/oci/image_spec.ts";
import { openSource } from "../source.ts";
import { answer, base, blob, cutAfter, failure, FakeRegistry, isBlob, manifest, pull } from "./fake_registry.ts";

Deno.test("RegistrySource ends redirects without end and into plain HTTP elsewhere", async () => {
  await using loop = new FakeRegistry((_, url) => isBlob(url) ? answer(302, { Location: url.href }) : undefined);
  await assert.rejects(pull(loop.host), failure("Unavailable", /redirects more than 10 times/));
  await using down = new FakeRegistry((_, url) =>
    isBlob(url) ? answer(302, { Location: "http://192.0.2.1/x" }) : undefined
  );
  await assert.rejects(
    pull(down.host, { plainHttp: false }),
    failure("FailedPrecondition", /redirects to http:\/\/192.0.2.1\/x, which has no TLS/),
  );
});

Deno.test("RegistrySource turns bad answers into sentences", async () => {
  const cases: [number, Code, RegExp][] = [
    [404, "NotFound", /has no such image \(404\): check the name/],
    [401, "Unauthenticated", /denies access \(401\)/],
    [403, "PermissionDenied", /denies access \(403\)/],
    [429, "ResourceExhausted", /limits the rate of requests \(429\): try again later/],
    [500, "Unavailable", /is in trouble \(500\): try again later/],
    [503, "Unavailable", /is in trouble \(503\)/],
    [400, "FailedPrecondition", /does not accept plain HTTP \(400\): leave --plain-http out/],
    [418, "Unknown", /answers 418, which is not expected/],
  ];
  for (const [status, code, pattern] of cases) {
    await using registry = new FakeRegistry(() => answer(status));
    await assert.rejects(pull(registry.host), failure(code, pattern), `${status}`);
    assert(registry.requests.length <= 6, `${registry.requests.length} requests for ${status}`);
  }
});

Deno.test("RegistrySource shows the registry's reason without its control characters", async () => {
  await using registry = new FakeRegistry((request) =>
    request.method === "HEAD"
      ? answer(403)
      : Response.json({ errors: [{ code: "DENIED", message: "not\u001b[2J\nyours" }] }, { status: 403 })
  );
  await assert.rejects(pull(registry.host), failure("PermissionDenied", /denies access \(403 not \[2J yours\)/));
});

Deno.test("RegistrySource waits out 429 and short server trouble", async () => {
  await using registry = new FakeRegistry((_request, _url, count) =>
    count === 1
      ? answer(429, { "Retry-After": "0" })
      : count === 2
      ? answer(503)
      : count === 4
      ? answer(502)
      : undefined
  );
  assert.deepEqual((await pull(registry.host)).layer, blob);
  assert.equal(registry.requests.length, 6);
});

Deno.test("RegistrySource does not wait for longer than its limit", async () => {
  await using registry = new FakeRegistry(() => answer(429, { "Retry-After": "3600" }));
  await assert.rejects(pull(registry.host), failure("ResourceExhausted", /\(429\): try again in 3600 s/));
  assert.equal(registry.requests.length, 1);
});

Deno.test("RegistrySource mends cut transfers by ranges", async () => {
  let cuts = 0;
  await using registry = new FakeRegistry((request, url) => {
    if (!isBlob(url) || ++cuts > 3) return undefined;
    const from = Number(/\d+/.exec(request.headers.get("range") ?? "0")?.[0]);
    return cutAfter(from, from + 50_000);
  });
  assert.deepEqual((await pull(registry.host)).layer, blob);
  const ranges = registry.requests.filter(({ path }) => path.includes("blobs")).map(({ range }) => range);
  assert.deepEqual(ranges, [null, "bytes=50000-", "bytes=100000-", "bytes=150000-"]);
});

Deno.test("RegistrySource mends a connection that dies in the middle of a body", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let connections = 0;
  const serving = (async () => {
    for await (const connection of listener) {
      using _ = connection;
      const buffer = new Uint8Array(8192);
      const request = new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
      const from = Number(/range: bytes=(\d+)-/i.exec(request)?.[1] ?? 0);
      const head = from === 0
        ? `HTTP/1.1 200 OK\r\nContent-Length: ${blob.length}\r\n\r\n`
        : `HTTP/1.1 206 Partial Content\r\nContent-Length: ${blob.length - from}\r\n` +
          `Content-Range: bytes ${from}-${blob.length - 1}/${blob.length}\r\n\r\n`;
      const writer = connection.writable.getWriter();
      await writer.write(new TextEncoder().encode(head));
      await writer.write(blob.subarray(from, ++connections < 3 ? from + 1000 : undefined));
      writer.releaseLock();
    }
  })();
  await using registry = new FakeRegistry((_, url) =>
    isBlob(url) ? answer(307, { Location: `http://127.0.0.1:${listener.addr.port}/store` }) : undefined
  );
  assert.deepEqual((await pull(registry.host)).layer, blob);
  assert.equal(connections, 3);
  assert.equal(registry.paths().filter((path) => path.includes("blobs")).length, 3, "each time with a new address");
  listener.close();
  await serving;
});

Deno.test("RegistrySource gives up a transfer that is cut again and again", async () => {
  await using registry = new FakeRegistry((_, url) => isBlob(url) ? cutAfter(0, 10) : undefined);
  await assert.rejects(
    pull(registry.host, { limits: { resumesMax: 2 } }),
    failure("Unavailable", /connection was cut 3 times at byte 10 of 300000 of sha256:.*: run the command again/),
  );
});

Deno.test("RegistrySource ends a stalled transfer and a registry that does not answer", async () => {
  const { promise: end, resolve } = Promise.withResolvers<void>();
  const limits = { stallMs: 150 };
  await using registry = new FakeRegistry((_, url) =>
    isBlob(url)
      ? new Response(
        new ReadableStream<Uint8Array>({
          start: (controller) => controller.enqueue(blob.subarray(0, 10)),
          pull: () => end,
        }),
      )
      : undefined
  );
  await assert.rejects(pull(registry.host, { limits }), failure("DeadlineExceeded", /sent nothing for 0.15 s/));
  await using silent = new FakeRegistry(async () => {
    await end;
    return answer(404);
  });
  await assert.rejects(pull(silent.host, { limits }), failure("DeadlineExceeded", /sent nothing for 0.15 s/));
  resolve();
});

Deno.test("RegistrySource stops with the caller's reason", async () => {
  const { promise: end, resolve } = Promise.withResolvers<void>();
  await using registry = new FakeRegistry(async () => {
    await end;
    return answer(404);
  });
  const controller = new AbortController();
  await using source = await openSource(`${registry.host}/app:1`, base);
  const resolving = source.resolve(controller.signal);
  controller.abort(new Error("no more"));
  await assert.rejects(resolving, /^Error: no more$/);
  resolve();
});

Deno.test("RegistrySource refuses content that is not what was named", async () => {
  await using tampered = new FakeRegistry((request, url) =>
    request.method === "GET" && url.pathname.includes("/manifests/") ? new Response('{"schemaVersion":2}') : undefined
  );
  await assert.rejects(pull(tampered.host), failure("DataLoss", /a manifest with digest sha256:.* instead of sha256:/));
  await using longer = new FakeRegistry((_, url) =>
    isBlob(url) ? new Response(ReadableStream.from([blob, blob])) : undefined
  );
  await assert.rejects(pull(longer.host), failure("DataLoss", /sends more than the 300000 bytes/));
  await using other = new FakeRegistry((_, url) => isBlob(url) ? new Response("short") : undefined);
  await assert.rejects(pull(other.host), failure("DataLoss", /has 5 bytes instead of the manifest's 300000/));
  await using huge = new FakeRegistry((request) =>
    request.method === "HEAD"
      ? answer(200, {
        "Content-Type": manifest.mediaType,
        "Docker-Content-Digest": manifest.digest,
        "Content-Length": "4194305",
      })
      : undefined
  );
  await assert.rejects(
    pull(huge.host),
    failure("ResourceExhausted", /manifest has 4194305 bytes, 4194304 are allowed/),
  );
  await using endless = new FakeRegistry((request) =>
    request.method === "HEAD"
      ? answer(405)
      : new Response(new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(blob) }))
  );
  await assert.rejects(pull(endless.host), failure("ResourceExhausted", /sends more than 4194304 bytes/));
  await using old = new FakeRegistry(() => answer(200, { "Content-Type": mediaTypes.dockerSchema1 }));
  await assert.rejects(pull(old.host), failure("NotImplemented", /schema 1/));
});

Deno.test("RegistrySource tells when the registry cannot be reached", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const host = `127.0.0.1:${listener.addr.port}`;
  listener.close();
  await assert.rejects(
    pull(host),
    failure("Unavailable", /cannot reach 127.* refused .*: check that the registry runs/),
  );
  await assert.rejects(pull(host, { plainHttp: false }), failure("Unavailable", /cannot reach/));
  await using plain = new FakeRegistry();
  // Another way to write 127.0.0.1, which is not taken for loopback.
  const elsewhere = plain.host.replace("127.0.0.1", "127.1");
  await assert.rejects(
    pull(elsewhere, { plainHttp: false, certificateDirectories: [] }),
    (error) => error instanceof Failure && /if the registry has no TLS, use --plain-http$/.test(error.message),
  );
  await assert.rejects(
    pull("127.0.0.1:6000"),
    failure("InvalidArgument", /blocked: serve the registry on another port/),
  );
});

Deno.test("RegistrySource names the folders to look at when certificates cannot be used", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${directory}/127.0.0.1:1`);
    await Deno.writeTextFile(`${directory}/127.0.0.1:1/x.cert`, "x");
    const options = { plainHttp: false, certificateDirectories: [directory] };
    const elsewhere = pull("127.1:1", options);
    await assert.rejects(elsewhere, /cannot read the certificates in ".*x\.key"/);
    await Deno.writeTextFile(`${directory}/127.0.0.1:1/x.key`, "x");
    await assert.rejects(
      pull("127.1:1", options),
      /certificates for 127.0.0.1:1 cannot be used: .*check SSL_CERT_FILE and the folders \//,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
