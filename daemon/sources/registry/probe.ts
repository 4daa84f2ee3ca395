/**
 * Finds out whether a server on this machine speaks TLS.
 *
 * @module
 */

import { connectTcp } from "./connect_tcp.ts";

/** A server on loopback that has said nothing for this long waits for the end of what it takes for a text. */
const silenceMs = 5_000;

/**
 * A TLS 1.2 ClientHello (RFC 5246, section 7.4.1.2) with one cipher suite. Its random bytes are line ends, so
 * that an HTTP server takes it for a complete bad request and answers at once.
 */
const clientHello = new Uint8Array([
  ...[0x16, 0x03, 0x01, 0x00, 0x2d], // record: handshake, 45 bytes
  ...[0x01, 0x00, 0x00, 0x29], // ClientHello, 41 bytes
  ...[0x03, 0x03], // TLS 1.2
  ...Array.from({ length: 32 }, (_, i) => i % 2 === 0 ? 0x0d : 0x0a), // random
  0x00, // no session
  ...[0x00, 0x02, 0xc0, 0x2f], // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
  ...[0x01, 0x00], // no compression
]);

const handshakeRecord = 0x16;
const alertRecord = 0x15;

/**
 * Whether the server answers a TLS hello by TLS, be it by a refusal. A real handshake would cost 35 ms for the first
 * one in a process, since the runtime then reads all authorities. Throws what `Deno.connect` throws, and the signal's
 * reason.
 */
export async function speaksTls(hostname: string, port: number, signal: AbortSignal): Promise<boolean> {
  const connection = await connectTcp(hostname, port, signal);
  // Closing ends a pending read, which then fails with one of the two errors below.
  const hangUp = () => {
    try {
      connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  };
  const timer = setTimeout(hangUp, silenceMs);
  signal.addEventListener("abort", hangUp, { once: true });
  try {
    await connection.write(clientHello);
    const answer = new Uint8Array(1);
    await connection.read(answer);
    return answer[0] === handshakeRecord || answer[0] === alertRecord;
  } catch (error) {
    signal.throwIfAborted();
    // A server that hangs up on a hello has no TLS.
    const hungUp = [
      Deno.errors.ConnectionReset,
      Deno.errors.BrokenPipe,
      Deno.errors.BadResource,
      Deno.errors.Interrupted,
    ];
    if (hungUp.some((kind) => error instanceof kind)) return false;
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", hangUp);
    hangUp();
  }
}
