import assert from "node:assert/strict";
import { parseChallenges, usableChallenge } from "./challenge.ts";

function plain(header: string) {
  return parseChallenges(header).map(({ scheme, parameters }) => ({ scheme, ...Object.fromEntries(parameters) }));
}

Deno.test("parseChallenges() reads quoted and bare parameters of several challenges", () => {
  assert.deepEqual(plain('Bearer realm="https://a/t",service="s",scope="repository:a:pull,push x:y", Basic realm=z'), [
    { scheme: "bearer", realm: "https://a/t", service: "s", scope: "repository:a:pull,push x:y" },
    { scheme: "basic", realm: "z" },
  ]);
  assert.deepEqual(plain('Negotiate, BASIC Realm = "a \\"b\\"" , charset="UTF-8"'), [
    { scheme: "negotiate" },
    { scheme: "basic", realm: 'a "b"', charset: "UTF-8" },
  ]);
});

Deno.test("parseChallenges() survives what is no challenge", () => {
  for (const header of ["", ",,,", "=", '"', 'Bearer realm="unclosed', 'realm="x"', "a=b=c=d", "\u0000"]) {
    assert.doesNotThrow(() => parseChallenges(header), header);
  }
  assert.deepEqual(plain('realm="x"'), []);
});

Deno.test("usableChallenge() prefers Bearer and needs its realm", () => {
  assert.equal(usableChallenge(parseChallenges('Basic realm="x", Bearer realm="y"'))?.scheme, "bearer");
  assert.equal(usableChallenge(parseChallenges('Bearer service="y", Basic realm="x"'))?.scheme, "basic");
  assert.equal(usableChallenge(parseChallenges("Digest realm=x")), undefined);
});
