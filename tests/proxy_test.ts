/**
 * The environment's proxies, against Go's own reading of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { noProxyCases } from "../daemon/sources/registry/proxy_cases.ts";
import { barge, Running, systemTest } from "./command.ts";
import { startDaemon } from "./daemon/daemon_fixture.ts";
import { makeScratch } from "./scratch.ts";

/** Whether a command asks the proxy of its environment before it ends, or waits for a host that is not there. */
async function asksProxy(command: readonly string[], noProxy: string): Promise<boolean> {
  const asked = Promise.withResolvers<boolean>();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    asked.resolve(true);
    return new Response(null, { status: 404 });
  });
  const proxy = `http://127.0.0.1:${server.addr.port}`;
  const env = { HTTP_PROXY: proxy, NO_PROXY: noProxy, HTTPS_PROXY: "", http_proxy: "", https_proxy: "", no_proxy: "" };
  await using running = new Running(command, { env });
  const timer = setTimeout(() => asked.resolve(false), waitMs);
  running.finished.then(() => asked.resolve(false), () => asked.resolve(false));
  const answer = await asked.promise;
  clearTimeout(timer);
  return answer;
}

/** A command that goes directly to a host that is not there would wait for long. */
const waitMs = 5_000;

async function check(command: (reference: string) => readonly string[]): Promise<void> {
  const wrong = await Promise.all(noProxyCases.map(async ([noProxy, host, isDirect]) => {
    const asked = await asksProxy(command(`${host}/app:1`), noProxy);
    return asked === isDirect ? [`NO_PROXY="${noProxy}" for ${host}: ${asked ? "the proxy" : "not the proxy"}`] : [];
  }));
  assert.deepEqual(wrong.flat(), []);
}

systemTest("stock ctr takes NO_PROXY as the cases say", ["ctr"], async () => {
  await using daemon = await startDaemon();
  await check((reference) => ["ctr", "--address", daemon.address, "images", "pull", "--plain-http", reference]);
});

systemTest("barge run takes NO_PROXY as the cases say", [], async () => {
  await using scratch = await makeScratch();
  let count = 0;
  await check((reference) => {
    const directory = `${scratch.path}/${count++}`;
    return [
      ...barge,
      "run",
      "--root",
      `${directory}/root`,
      "--state",
      `${directory}/state`,
      "--plain-http",
      reference,
      "true",
    ];
  });
});
