import assert from "node:assert/strict";
import { createServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { isFailure } from "../../../../api/errors.ts";
import { missingPrograms } from "../../../../tests/registry.ts";
import { answer, blob, FakeRegistry, isBlob, pull } from "../fake_registry.ts";

/** Pulls `app:1` of `host` with these hosts files, by name of directory. */
async function pullWith(host: string, files: Readonly<Record<string, string>>, warn: (m: string) => void = () => {}) {
  const root = await Deno.makeTempDir({ prefix: "barge-hosts-" });
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(`${root}/${path.split("/")[0]}`, { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    const pulled = await pull(host, { hostDirectories: [root], plainHttp: false, warn });
    assert.deepEqual(pulled.layer, blob);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Nobody listens there. */
function deadHost(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `127.0.0.1:${listener.addr.port}`;
}

const nothing = () => answer(404);
const away = "registry.test:5000";

Deno.test("RegistrySource asks the hosts of hosts.toml in order, and tells mirrors whose image is meant", async () => {
  await using empty = new FakeRegistry(nothing);
  await using mirror = new FakeRegistry();
  await using upstream = new FakeRegistry();
  await pullWith(away, {
    "registry.test_5000_/hosts.toml": `
      server = "http://${upstream.host}"
      [host."http://${deadHost()}"]
      [host."http://${empty.host}"]
      [host."http://${mirror.host}"]`,
  });
  assert(empty.requests.length > 0);
  assert(empty.requests.concat(mirror.requests).every(({ path }) => path.endsWith("?ns=registry.test%3A5000")));
  assert.deepEqual(mirror.requests.map(({ method }) => method), ["HEAD", "GET", "GET"]);
  assert.equal(upstream.requests.length, 0);
});

Deno.test("RegistrySource resolves and pulls at hosts that can, and finds _default last", async () => {
  await using puller = new FakeRegistry();
  await using pusher = new FakeRegistry();
  await using upstream = new FakeRegistry();
  const file = `
    server = "http://${upstream.host}"
    [host."http://${pusher.host}"]
      capabilities = ["push"]
    [host."http://${puller.host}"]
      capabilities = ["pull"]`;
  await pullWith(away, { "_default/hosts.toml": file });
  assert.equal(pusher.requests.length, 0);
  assert.deepEqual(upstream.requests.map(({ method }) => method), ["HEAD"]);
  assert.deepEqual(puller.requests.map(({ method }) => method), ["GET", "GET"]);
  await assert.rejects(
    pullWith(away, {
      "_default/hosts.toml": file,
      "registry.test:5000/hosts.toml": `server = "http://${pusher.host}"\ncapabilities = ["push"]`,
    }),
    (error) => isFailure(error, "NotFound") && /no resolve hosts/.test(error.message),
  );
});

Deno.test("RegistrySource falls back in the middle of a pull, and tells the failure that says most", async () => {
  await using half = new FakeRegistry((_, url) => isBlob(url) ? answer(500) : undefined);
  await using upstream = new FakeRegistry();
  const file = `server = "http://${upstream.host}"\n[host."http://${half.host}"]`;
  await pullWith(away, { "_default/hosts.toml": file });
  assert.deepEqual(upstream.requests.map(({ method }) => method), ["GET"]);
  assert.equal(
    half.requests.filter(({ path }) => path.includes("/blobs/")).length,
    1,
    "a broken mirror is not waited for",
  );
  await using denied = new FakeRegistry(() => answer(403));
  await using empty = new FakeRegistry(nothing);
  const bad = `server = "http://${deadHost()}"\n[host."http://${empty.host}"]\n[host."http://${denied.host}"]`;
  await assert.rejects(pullWith(away, { "_default/hosts.toml": bad }), (error) => isFailure(error, "PermissionDenied"));
});

Deno.test("RegistrySource sends a host's headers to it alone, and keeps to its path", async () => {
  await using elsewhere = new FakeRegistry();
  await using inner = new FakeRegistry((request, url) => {
    if (!url.pathname.startsWith("/api/")) return undefined;
    return isBlob(url)
      ? answer(307, { Location: `http://${elsewhere.host}${url.pathname.replace("/api", "/v2")}` })
      : answer(307, { Location: new URL(url.pathname.replace("/api", "/v2"), request.url).href });
  });
  await pullWith(away, {
    "_default/hosts.toml":
      `[host."http://${inner.host}/api"]\noverride_path = true\n[host."http://${inner.host}/api".header]\nX-Key = ["a", "b"]`,
  });
  assert(inner.requests.every(({ headers }) => headers.get("x-key") === "a, b"));
  assert(inner.requests.some(({ path }) => path.startsWith("/api/app/")));
  assert.deepEqual(elsewhere.requests.map(({ headers }) => headers.get("x-key")), [null]);
});

Deno.test("RegistrySource goes without a hosts file that is wrong, and says so", async () => {
  await using registry = new FakeRegistry();
  const said: string[] = [];
  const name = registry.host.replace(/:(\d+)$/, "_$1_");
  const warn = (message: string) => said.push(message);
  await pullWith(registry.host, { [`${name}/hosts.toml`]: `server = 7` }, warn);
  await pullWith(registry.host, { [`${name}/hosts.toml`]: `colour = "red"` }, warn);
  assert.match(said[0]!, /hosts\.toml is not used, so 127\.0\.0\.1:\d+ itself is asked: "server" is 7/);
  assert.match(said[1]!, /hosts\.toml: nothing is known of colour/);
  assert.equal(said.length, 2);
});

const missing = missingPrograms("openssl");

/** A TLS server that hands everything on to a registry without TLS. */
async function withTls(
  registry: FakeRegistry,
  options: ServerOptions,
  directory: string,
  body: (host: string) => Promise<void>,
  stalls: (path: string) => boolean = () => false,
): Promise<void> {
  const server = createServer({
    key: await Deno.readTextFile(`${directory}/server.key`),
    cert: await Deno.readTextFile(`${directory}/server.crt`),
    ...options,
  }, async (request, response) => {
    const answer = await fetch(`http://${registry.host}${request.url}`, { method: request.method! });
    if (stalls(request.url!) && request.url!.includes("/manifests/")) return await answer.body?.cancel();
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (stalls(request.url!)) return void response.write((await answer.bytes()).subarray(0, 1000));
    response.end(request.method === "HEAD" ? undefined : await answer.bytes());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    // The address of a listening server is of this kind.
    await body(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** An authority, a server's and a client's certificate. */
async function certificates(directory: string): Promise<void> {
  const at = (name: string) => `${directory}/${name}`;
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  await openssl("req", "-x509", ...key, "-subj", "/CN=ca", "-keyout", at("ca.key"), "-out", at("ca.crt"));
  for (const name of ["server", "client"]) {
    await openssl("req", ...key, "-subj", `/CN=${name}`, "-keyout", at(`${name}.key`), "-out", at(`${name}.csr`));
    await Deno.writeTextFile(at("ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
    await openssl(
      ...["x509", "-req", "-in", at(`${name}.csr`), "-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-CAcreateserial"],
      ...["-days", "2", "-extfile", at("ext"), "-out", at(`${name}.crt`)],
    );
  }
}

Deno.test({
  name: `RegistrySource speaks TLS with a host as its settings say (${missing.join() || "openssl is here"})`,
  ignore: missing.length > 0,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "barge-hosts-tls-" });
    try {
      await certificates(directory);
      await using registry = new FakeRegistry();
      const ca = await Deno.readTextFile(`${directory}/ca.crt`);
      const file = (host: string, lines: string) => ({ "_default/hosts.toml": `[host."https://${host}"]\n${lines}` });
      await withTls(registry, {}, directory, async (host) => {
        await assert.rejects(pullWith(host, { "_default/hosts.toml": `server = "https://${host}"` }), /certificate/);
        await pullWith(away, file(host, `ca = "${directory}/ca.crt"`));
        await pullWith(away, file(host, `skip_verify = true`));
        // A host that is said to have no TLS and yet how it is spoken is tried with it first.
        await pullWith(away, { "_default/hosts.toml": `[host."http://${host}"]\nskip_verify = true` });
        const name = host.replace(/:(\d+)$/, "_$1_");
        await pullWith(host, { [`${name}/ca.crt`]: ca });
      });
      const login = { requestCert: true, rejectUnauthorized: true, ca };
      await withTls(registry, login, directory, async (host) => {
        await assert.rejects(pullWith(away, file(host, `ca = "${directory}/ca.crt"`)));
        const client = `client = [["${directory}/client.crt", "${directory}/client.key"]]`;
        await pullWith(away, file(host, `ca = "${directory}/ca.crt"\n${client}`));
        await pullWith(away, file(host, `skip_verify = true\n${client}`));
        const both = await Deno.readTextFile(`${directory}/client.key`) +
          await Deno.readTextFile(`${directory}/client.crt`);
        await Deno.writeTextFile(`${directory}/both.pem`, both);
        await pullWith(away, file(host, `ca = "${directory}/ca.crt"\nclient = "${directory}/both.pem"`));
      });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test({
  name: `RegistrySource ends a stalled body and a stalled head of a host that is not verified (${
    missing.join() || "openssl is here"
  })`,
  ignore: missing.length > 0,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const directory = await Deno.makeTempDir({ prefix: "barge-hosts-stall-" });
    try {
      await certificates(directory);
      await using registry = new FakeRegistry();
      for (const stalls of ["manifest", "blob"]) {
        const isStalled = (path: string) =>
          stalls === "manifest" ? path.includes("/manifests/1") : path.includes("/blobs/");
        await withTls(registry, {}, directory, async (host) => {
          const root = `${directory}/hosts`;
          await Deno.mkdir(`${root}/_default`, { recursive: true });
          await Deno.writeTextFile(`${root}/_default/hosts.toml`, `server = "https://${host}"\nskip_verify = true`);
          const begin = performance.now();
          await assert.rejects(
            pull(away, { hostDirectories: [root], limits: { stallMs: 300, retryDelayMs: 2 } }),
            (error) => isFailure(error, "DeadlineExceeded") && /sent nothing for 0.3 s/.test(error.message),
          );
          assert(performance.now() - begin < 10_000);
        }, isStalled);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

Deno.test("RegistrySource does not wait longer for a host than dial_timeout says", async () => {
  await using upstream = new FakeRegistry();
  const begin = performance.now();
  await pullWith(away, {
    // RFC 5737: nobody has this address, so packets get lost or are refused by a router.
    "_default/hosts.toml": `server = "http://${upstream.host}"\n[host."http://192.0.2.1:81"]\ndial_timeout = "200ms"`,
  });
  assert(performance.now() - begin < 5_000);
  assert.equal(upstream.requests.length, 3);
});
