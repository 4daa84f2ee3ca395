import assert from "node:assert/strict";
import { speaksTls } from "./probe.ts";

const never = new AbortController().signal;

/** A server that answers the first bytes of each connection, or hangs up, or (`undefined`) stays silent. */
async function withServer(answer: Uint8Array | undefined, body: (port: number) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      open.push(connection);
      await connection.read(new Uint8Array(100));
      if (answer === undefined) continue;
      if (answer.length > 0) await connection.write(answer);
      connection.close();
      open.pop();
    }
  })();
  try {
    await body(listener.addr.port);
  } finally {
    listener.close();
    for (const connection of open) connection.close();
    await serving;
  }
}

Deno.test("speaksTls() tells TLS by its records, handshake and alert", async () => {
  await withServer(
    new Uint8Array([0x16, 3, 3, 0, 1]),
    async (port) => assert(await speaksTls("127.0.0.1", port, never)),
  );
  await withServer(
    new Uint8Array([0x15, 3, 3, 0, 2, 2, 40]),
    async (port) => assert(await speaksTls("127.0.0.1", port, never)),
  );
});

Deno.test("speaksTls() takes an answer in words and a closed connection for no TLS", async () => {
  const words = new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n");
  await withServer(words, async (port) => assert.equal(await speaksTls("127.0.0.1", port, never), false));
  await withServer(new Uint8Array(), async (port) => assert.equal(await speaksTls("127.0.0.1", port, never), false));
});

Deno.test("speaksTls() ends with the caller's reason", () =>
  withServer(undefined, async (port) => {
    const controller = new AbortController();
    const probing = speaksTls("127.0.0.1", port, controller.signal);
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await assert.rejects(probing, /enough/);
  }));
