/**
 * Tells a bus who connects (D-Bus Specification, "Authentication Protocol").
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

const lineMax = 4096;

/** What is sent at once: an answer to the first line is the only one that comes, and nobody is asked to wait for it. */
function greeting(uid: number): Uint8Array {
  const hex = [...String(uid)].map((digit) => digit.charCodeAt(0).toString(16)).join("");
  return new TextEncoder().encode(`\0AUTH EXTERNAL ${hex}\r\nBEGIN\r\n`);
}

/**
 * Authenticates by the credentials of the socket, which the kernel vouches for; gives what the peer sent after that.
 * Throws `PermissionDenied` where it refuses, `Unavailable` where it hangs up.
 */
export async function authenticate(connection: Deno.Conn, uid: number): Promise<Uint8Array> {
  await writeAll(connection, greeting(uid));
  const buffer = new Uint8Array(lineMax);
  let length = 0;
  for (;;) {
    const count = await connection.read(buffer.subarray(length));
    if (count === null || count === 0) throw new Failure("Unavailable", "the D-Bus peer hung up while it was greeted");
    length += count;
    const end = buffer.subarray(0, length).indexOf(0x0a);
    if (end < 0) continue;
    const line = new TextDecoder().decode(buffer.subarray(0, end)).trimEnd();
    if (line === "OK" || line.startsWith("OK ")) return buffer.slice(end + 1, length);
    throw new Failure("PermissionDenied", `the D-Bus peer refused user ${uid} with ${JSON.stringify(line)}`);
  }
}

/** Writes all of the bytes. */
export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}
