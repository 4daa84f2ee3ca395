import assert from "node:assert/strict";
import { answer, blob, failure, FakeRegistry, isBlob, pull } from "./fake_registry.ts";

Deno.test("RegistrySource fetches a token with the challenge's service and scope and uses it for all requests", async () => {
  await using registry: FakeRegistry = new FakeRegistry((request, url) => {
    if (url.pathname === "/token") return Response.json({ token: "T1", expires_in: 300 });
    if (request.headers.get("authorization") === "Bearer T1") return undefined;
    return answer(401, {
      "WWW-Authenticate": `Bearer realm="http://${url.host}/token",service="svc",scope="repository:app:pull"`,
    });
  });
  assert.deepEqual((await pull(registry.host)).layer, blob);
  assert.deepEqual(registry.paths().slice(0, 3), [
    "HEAD /v2/app/manifests/1",
    "GET /token?service=svc&scope=repository%3Aapp%3Apull",
    "HEAD /v2/app/manifests/1",
  ]);
  assert.equal(registry.requests.length, 5, "one challenge for all requests");
});

Deno.test("RegistrySource posts a login for a token and falls back to GET with basic authentication", async () => {
  const form = (body: string) => Object.fromEntries(new URLSearchParams(body));
  for (const post of [200, 405, 404, 401, 400]) {
    await using registry = new FakeRegistry((request, url) => {
      if (url.pathname === "/token") {
        return request.method === "POST" && post !== 200 ? answer(post) : Response.json({ access_token: "T2" });
      }
      if (request.headers.get("authorization") === "Bearer T2") return undefined;
      return answer(401, { "WWW-Authenticate": `Bearer realm="http://${url.host}/token",service="svc"` });
    });
    await pull(registry.host, { credentials: { username: "bob", password: "p w" } });
    const [, posted, got] = registry.requests;
    assert.deepEqual(form(posted?.body ?? ""), {
      grant_type: "password",
      username: "bob",
      password: "p w",
      service: "svc",
      scope: "repository:app:pull",
      client_id: "containerd-client",
    });
    if (post !== 200) assert.equal(got?.authorization, `Basic ${btoa("bob:p w")}`, `after ${post}`);
  }
});

Deno.test("RegistrySource sends an identity token as refresh token", async () => {
  await using registry = new FakeRegistry((request, url) => {
    if (url.pathname === "/token") {
      return request.method === "POST" ? Response.json({ access_token: "T3" }) : answer(500);
    }
    if (request.headers.get("authorization") === "Bearer T3") return undefined;
    return answer(401, { "WWW-Authenticate": `Bearer realm="http://${url.host}/token"` });
  });
  await pull(registry.host, { credentials: { username: "", password: "id" } });
  assert.match(registry.requests[1]?.body ?? "", /grant_type=refresh_token&refresh_token=id/);
});

Deno.test("RegistrySource gets a new token when the old one has ended", async () => {
  let issued = 0;
  const used = new Set<string>();
  await using registry = new FakeRegistry((request, url) => {
    if (url.pathname === "/token") return Response.json({ token: `T${++issued}` });
    const sent = request.headers.get("authorization");
    // Each token is good for one request.
    if (sent !== null && !used.has(sent)) {
      used.add(sent);
      return undefined;
    }
    return answer(401, { "WWW-Authenticate": `Bearer realm="http://${url.host}/token",error="invalid_token"` });
  });
  assert.deepEqual((await pull(registry.host)).layer, blob);
  assert.equal(issued, 3);
});

Deno.test("RegistrySource gives up after a refused token, and says what to do", async () => {
  await using registry = new FakeRegistry((_, url) => {
    if (url.pathname === "/token") return Response.json({ token: "bad" });
    return Response.json({ errors: [{ code: "DENIED", message: "requested access\u001b[2J is denied" }] }, {
      status: 401,
      headers: { "WWW-Authenticate": `Bearer realm="http://${url.host}/token",error="insufficient_scope"` },
    });
  });
  await assert.rejects(
    pull(registry.host),
    failure("Unauthenticated", /denies access \(401\): the image may not exist, or needs a login: docker login/),
  );
  assert(registry.requests.length < 10, `${registry.requests.length} requests`);
});

Deno.test("RegistrySource tells what the token server does wrong", async () => {
  const with_ = (token: () => Response) =>
    new FakeRegistry((_, url) =>
      url.pathname === "/token"
        ? token()
        : answer(401, { "WWW-Authenticate": `Bearer realm="http://${url.host}/token"` })
    );
  const login = { credentials: { username: "bob", password: "x" } };
  {
    await using registry = with_(() => Response.json({}));
    await assert.rejects(
      pull(registry.host),
      failure("Unavailable", /failed to fetch anonymous token: authorization server did not include a token/),
    );
  }
  {
    await using registry = with_(() => answer(401));
    await assert.rejects(
      pull(registry.host, login),
      failure("Unauthenticated", /failed to fetch oauth token: .* refuses user bob \(401\)/),
    );
  }
  {
    await using registry = with_(() => new Response("<html>"));
    await assert.rejects(pull(registry.host), failure("Unavailable", /not JSON/));
  }
  {
    await using registry = with_(() => Response.json({ token: "a\r\nb" }));
    await assert.rejects(pull(registry.host), failure("Unavailable", /no single word/));
  }
  {
    await using registry = new FakeRegistry(() => answer(401, { "WWW-Authenticate": 'Bearer realm="ftp://x"' }));
    await assert.rejects(
      pull(registry.host),
      failure("FailedPrecondition", /token server "ftp:\/\/x" is no http address/),
    );
  }
});

Deno.test("RegistrySource follows redirects and never takes the login to another host", async () => {
  await using other = new FakeRegistry((_, url) => url.pathname === "/store" ? new Response(blob) : undefined);
  await using registry: FakeRegistry = new FakeRegistry((request, url) => {
    if (request.headers.get("authorization") === null) return answer(401, { "WWW-Authenticate": 'Basic realm="x"' });
    return isBlob(url) ? answer(307, { Location: `http://${other.host}/store?X-Signature=s3cret` }) : undefined;
  });
  const pulled = await pull(registry.host, { credentials: { username: "bob", password: "x" } });
  assert.deepEqual(pulled.layer, blob);
  assert.equal(other.requests[0]?.authorization, null);
  assert.equal(registry.requests.at(-1)?.authorization, `Basic ${btoa("bob:x")}`);
});

Deno.test("RegistrySource does not answer another host's challenge with the registry's login", async () => {
  await using other = new FakeRegistry(() => answer(401, { "WWW-Authenticate": 'Basic realm="phish"' }));
  await using registry: FakeRegistry = new FakeRegistry((request, url) => {
    if (request.headers.get("authorization") === null) return answer(401, { "WWW-Authenticate": 'Basic realm="x"' });
    return isBlob(url) ? answer(302, { Location: `http://${other.host}/store?sig=s3cret` }) : undefined;
  });
  await assert.rejects(pull(registry.host, { credentials: { username: "bob", password: "x" } }), (error) => {
    assert(failure("Unauthenticated", /denies access/)(error));
    assert(!String(error).includes("s3cret"));
    return true;
  });
  assert(other.requests.every(({ authorization }) => authorization === null));
});
