/**
 * A registry in this process that stops in the middle of one kind of exchange and keeps the connection open, for tests.
 *
 * @module
 */
import { constant } from "../../../ffi/constants.ts";
import { attempt } from "../../../ffi/syscall.ts";
import { blob, layer, manifest, manifestBytes } from "./fake_registry.ts";

/** Where it stops. */
export const stallKinds = [
  "connect",
  "probe",
  "TLS",
  "head",
  "half a head",
  "token's head",
  "token",
  "error's body",
  "manifest",
  "blob's head",
  "blob's first byte",
  "blob's middle",
  "blob after a redirect",
] as const;

/** Where a {@link StallingRegistry} stops. */
export type StallKind = (typeof stallKinds)[number];

/** What is sent of an answer before nothing more is. */
interface Reply {
  readonly text: string;
  readonly body?: Uint8Array;
  /** Whether the rest is sent as well. */
  readonly isWhole?: boolean;
}

const handshakeRecord = 0x16;

/** See the module. It serves `app:1` of the fake registry. */
export class StallingRegistry implements Disposable {
  readonly #listener: Deno.TcpListener | undefined;
  readonly #connections = new Set<Deno.Conn>();
  readonly #fullSocket: number | undefined;
  readonly #port: number;
  readonly #reached = Promise.withResolvers<void>();

  constructor(readonly kind: StallKind) {
    if (kind === "connect") {
      [this.#fullSocket, this.#port] = listenFull();
      this.#reached.resolve();
      return;
    }
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#port = this.#listener.addr.port;
    this.#serve(this.#listener);
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Whether TLS is spoken, as far as that goes. */
  get isTls(): boolean {
    return this.kind === "TLS";
  }

  /** Resolves once a client waits for what does not come. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  async #serve(listener: Deno.TcpListener): Promise<void> {
    for await (const connection of listener) {
      this.#connections.add(connection);
      // A client that has given up ends it.
      this.#talk(connection).catch(() => {});
    }
  }

  async #talk(connection: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(16 << 10);
    for (;;) {
      let text = "";
      do {
        const length = await connection.read(buffer);
        if (length === null) return;
        if (buffer[0] === handshakeRecord) {
          // The probe asks whether this is TLS by a hello of its own, which is short.
          const isProbe = length < 100;
          if (isProbe && this.kind === "TLS") await connection.write(new Uint8Array([handshakeRecord]));
          else if (isProbe && this.kind !== "probe") {
            await connection.write(new TextEncoder().encode("HTTP/1.1 400 Bad\r\n\r\n"));
          } else this.#reached.resolve();
          continue;
        }
        text += new TextDecoder().decode(buffer.subarray(0, length));
      } while (!text.includes("\r\n\r\n"));
      const [method = "", path = ""] = text.split(" ");
      const reply = this.#reply(method, path, /\r\nauthorization:/i.test(text));
      if (reply !== undefined) await connection.write(new TextEncoder().encode(reply.text));
      if (reply?.body !== undefined) await connection.write(reply.body);
      if (reply?.isWhole !== true) return this.#reached.resolve();
    }
  }

  #reply(method: string, path: string, isAuthorized: boolean): Reply | undefined {
    const { kind } = this;
    const head = (status: string, length: number, ...fields: string[]) =>
      [`HTTP/1.1 ${status}`, `Content-Length: ${length}`, ...fields, "", ""].join("\r\n");
    const whole = (text: string, body?: Uint8Array): Reply => ({ text, isWhole: true, ...(body ? { body } : {}) });
    if (kind === "head") return undefined;
    if (kind === "half a head") return { text: "HTTP/1.1 200 OK\r\nContent-Le" };
    if (kind === "error's body") {
      const isHead = method === "HEAD";
      return { text: head("403 Forbidden", isHead ? 0 : 1000, "Content-Type: application/json"), isWhole: isHead };
    }
    if (kind.startsWith("token")) {
      if (path.startsWith("/token")) {
        return kind === "token" ? { text: head("200 OK", 1000), body: new TextEncoder().encode('{"tok') } : undefined;
      }
      const realm = `WWW-Authenticate: Bearer realm="http://${this.host}/token",service="s"`;
      if (!isAuthorized) return whole(head("401 Unauthorized", 0, realm));
    }
    if (path.includes("/manifests/")) {
      const fields = [`Content-Type: ${manifest.mediaType}`, `Docker-Content-Digest: ${manifest.digest}`];
      const text = head("200 OK", manifestBytes.length, ...fields);
      if (method === "HEAD") return whole(text);
      return kind === "manifest" ? { text, body: manifestBytes.subarray(0, 10) } : whole(text, manifestBytes);
    }
    if (kind === "blob's head") return undefined;
    if (kind === "blob after a redirect" && !path.startsWith("/elsewhere")) {
      return whole(head("307 Temporary Redirect", 0, `Location: http://${this.host}/elsewhere`));
    }
    const text = head("200 OK", layer.size);
    return kind === "blob's first byte" ? { text } : { text, body: blob.subarray(0, blob.length / 2) };
  }

  [Symbol.dispose](): void {
    this.#listener?.close();
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch {
        // The client has gone.
      }
    }
    if (this.#fullSocket !== undefined) attempt("close", this.#fullSocket);
  }
}

/** A listening socket whose queue is full: the kernel drops what else wants to connect. Gives it and its port. */
function listenFull(): [socket: number, port: number] {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, constant("AF_INET"), true);
  address.set([127, 0, 0, 1], 4);
  const open = () => attempt("socket", constant("AF_INET"), constant("SOCK_STREAM") | constant("SOCK_CLOEXEC"), 0);
  const server = open();
  attempt("bind", server, address, address.length);
  attempt("listen", server, 0);
  const length = new Uint32Array([address.length]);
  attempt("getsockname", server, address, length);
  // One more than the queue's length is taken; these stay with their process.
  for (let index = 0; index < 2; index++) {
    const client = open();
    attempt("fcntl", client, constant("F_SETFL"), constant("O_NONBLOCK"));
    attempt("connect", client, address, address.length);
  }
  return [server, view.getUint16(2)];
}
