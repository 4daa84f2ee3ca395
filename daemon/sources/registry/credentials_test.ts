import assert from "node:assert/strict";
import { Failure } from "../../../api/errors.ts";
import { findCredentials } from "./credentials.ts";

async function withConfig(config: unknown, body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/config.json`, typeof config === "string" ? config : JSON.stringify(config));
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("findCredentials() reads auths by host and by old URL keys", () =>
  withConfig({
    auths: {
      "reg.example:5000": { auth: btoa("bob:se:cret") },
      "https://index.docker.io/v1/": { username: "hub", password: "pw" },
      "token.example": { auth: btoa("x:y"), identitytoken: "idtoken" },
      "empty.example": {},
      "broken.example": { auth: "!!!" },
    },
  }, async (directory) => {
    assert.deepEqual(await findCredentials("reg.example:5000", directory), { username: "bob", password: "se:cret" });
    assert.deepEqual(await findCredentials("docker.io", directory), { username: "hub", password: "pw" });
    assert.deepEqual(await findCredentials("token.example", directory), { username: "", password: "idtoken" });
    assert.equal(await findCredentials("empty.example", directory), undefined);
    assert.equal(await findCredentials("reg.example", directory), undefined);
    await assert.rejects(
      findCredentials("broken.example", directory),
      (error) => error instanceof Failure && /login for broken.example .* is broken/.test(error.message),
    );
  }));

Deno.test("findCredentials() without a configuration finds nothing", async () => {
  assert.equal(await findCredentials("a.example", "/nonexistent/docker"), undefined);
});

Deno.test("findCredentials() does not show a broken file's content", () =>
  withConfig('{"auths": {"a.example": {"auth": "c2VjcmV0', async (directory) => {
    await assert.rejects(
      findCredentials("a.example", directory),
      (error) => error instanceof Failure && !error.message.includes("c2VjcmV0") && error.cause === undefined,
    );
  }));

Deno.test("findCredentials() asks a helper, and falls back to the file where it has no login", async () => {
  const bin = await Deno.makeTempDir();
  const name = `barge-test-${crypto.randomUUID()}`;
  const path = Deno.env.get("PATH") ?? "";
  try {
    await Deno.writeTextFile(
      `${bin}/docker-credential-${name}`,
      `#!/bin/sh
read -r server || test -n "$server"
case $1:$server in
get:helped.example) echo '{"ServerURL":"x","Username":"<token>","Secret":"tok"}' ;;
get:bad.example) echo oops; exit 1 ;;
get:odd.example) echo '[]' ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac`,
      { mode: 0o755 },
    );
    Deno.env.set("PATH", `${bin}:${path}`);
    const config = {
      credsStore: name,
      credHelpers: { "miss.example": "x/y" },
      auths: { "file.example": { auth: btoa("f:g") } },
    };
    await withConfig(config, async (directory) => {
      assert.deepEqual(await findCredentials("helped.example", directory), { username: "", password: "tok" });
      assert.deepEqual(await findCredentials("file.example", directory), { username: "f", password: "g" });
      await assert.rejects(findCredentials("bad.example", directory), /failed: oops/);
      await assert.rejects(findCredentials("odd.example", directory), /no login/);
      await assert.rejects(findCredentials("miss.example", directory), /name that is no program's/);
    });
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(bin, { recursive: true });
  }
});
