/**
 * A client that says what it is told, right or wrong, frame by frame: for tests of how a server takes it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { concatBytes } from "../../api/bytes.ts";
import { frame, frameFlags, frameTypes, preface, settingsFrame, uint32At } from "../../api/grpc/frames.ts";
import { HeaderDecoder } from "../../api/grpc/hpack/decoder.ts";
import { encodeHeaders } from "../../api/grpc/hpack/encoder.ts";
import type { Field } from "../../api/grpc/hpack/static_table.ts";
import { patient } from "../patience.ts";

/** One frame that the server sent. */
export interface SentFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
  /** Of HEADERS. */
  readonly fields?: Record<string, string>;
}

/** Header fields of a call. */
export function callFields(path: string, ...more: readonly Field[]): Field[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more,
  ];
}

/** A HEADERS frame that is whole. */
export function headersFrame(stream: number, fields: readonly Field[], flags = 0): Uint8Array {
  return frame(frameTypes.headers, flags | frameFlags.endHeaders, stream, encodeHeaders(fields));
}

/** A gRPC message with its prefix. */
export function prefixed(message: Uint8Array, flag = 0): Uint8Array {
  const bytes = new Uint8Array(message.length + 5);
  bytes[0] = flag;
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, 5);
  return bytes;
}

/** A DATA frame. */
export function dataFrame(stream: number, payload: Uint8Array, flags = 0): Uint8Array {
  return frame(frameTypes.data, flags, stream, payload);
}

/** How long a test waits for what must come. */
const patienceMs = 5_000;

/** See the module. */
export class RawClient implements Disposable {
  readonly frames: SentFrame[] = [];
  /** The server has ended the connection. */
  ended = false;
  readonly #decoder = new HeaderDecoder({ tableBytesMax: 4096, listBytesMax: 1 << 16 });
  #changed = Promise.withResolvers<void>();
  #rest: Uint8Array = new Uint8Array();

  private constructor(readonly socket: Deno.Conn, reads: boolean) {
    if (reads) void this.#read();
  }

  /** Connects to a unix socket. Says nothing yet. `reads` false: takes nothing of what the server says. */
  static async connect(path: string, reads = true): Promise<RawClient> {
    return new RawClient(await Deno.connect({ transport: "unix", path }), reads);
  }

  /** Connects and opens the HTTP/2 connection with these settings. */
  static async open(
    path: string,
    values: readonly (readonly [number, number])[] = [],
    reads = true,
  ): Promise<RawClient> {
    const client = await RawClient.connect(path, reads);
    await client.send(preface, settingsFrame(values));
    return client;
  }

  /** Writes these bytes. A server that has gone is no error: the test looks at what it said before. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    const bytes = concatBytes(parts);
    try {
      for (let done = 0; done < bytes.length;) done += await this.socket.write(bytes.subarray(done));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset)) throw error;
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(1 << 18);
    try {
      for (;;) {
        const bytes = await this.socket.read(buffer);
        if (bytes === null) break;
        this.#take(buffer.subarray(0, bytes));
        this.#wake();
      }
    } catch {
      // Reset by the server, or closed by the test: the same as its end.
    }
    this.ended = true;
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #take(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    let at = 0;
    while (all.length - at >= 9) {
      const end = at + 9 + (uint32At(all, at) >>> 8);
      if (end > all.length) break;
      const type = all[at + 3]!, payload = all.slice(at + 9, end);
      const fields = type === frameTypes.headers ? this.#decoder.decode(payload) : undefined;
      this.frames.push({
        type,
        flags: all[at + 4]!,
        stream: uint32At(all, at + 5),
        payload,
        ...(fields === undefined ? {} : { fields: Object.fromEntries(fields) }),
      });
      at = end;
    }
    this.#rest = all.slice(at);
  }

  /** Waits until `found` gives something. Fails when it does not come in time. */
  async until<T>(what: string, found: () => T | undefined | false): Promise<T> {
    const late = AbortSignal.timeout(patient(patienceMs));
    for (;;) {
      const result = found();
      if (result !== undefined && result !== false) return result;
      assert(!late.aborted, `${what} did not come; there are ${this.#summary()}`);
      const pause = Promise.withResolvers<void>();
      const timer = setTimeout(pause.resolve, 20);
      await Promise.race([this.#changed.promise, pause.promise]);
      clearTimeout(timer);
    }
  }

  #summary(): string {
    const names = this.frames.map(({ type, stream, flags }) => `${type}/${flags}@${stream}`);
    return `${names.join(" ")}${this.ended ? " end" : ""}`;
  }

  /** The first frame of a type on a stream that comes, or came. */
  frame(type: number, stream: number): Promise<SentFrame> {
    return this.until(
      `frame ${type} on stream ${stream}`,
      () => this.frames.find((sent) => sent.type === type && sent.stream === stream),
    );
  }

  /** Error code of the GOAWAY that ends the connection. */
  async goAway(): Promise<number> {
    const { payload } = await this.frame(frameTypes.goAway, 0);
    await this.until("the end", () => this.ended);
    return uint32At(payload, 4);
  }

  /** Error code of the stream's RST_STREAM. */
  async reset(stream: number): Promise<number> {
    return uint32At((await this.frame(frameTypes.rstStream, stream)).payload, 0);
  }

  /** The header fields that end the stream. */
  async trailers(stream: number): Promise<Record<string, string>> {
    const { fields } = await this.until(
      `trailers of stream ${stream}`,
      () => this.frames.find((sent) => sent.stream === stream && sent.fields !== undefined && (sent.flags & 1) !== 0),
    );
    return fields!;
  }

  /** The bytes of DATA that came on the stream. */
  data(stream: number): Uint8Array {
    const parts = this.frames.filter((sent) => sent.stream === stream && sent.type === frameTypes.data);
    return Uint8Array.from(parts.flatMap(({ payload }) => [...payload]));
  }

  /** Whether a PING is answered: the connection lives. */
  async ping(): Promise<void> {
    const mark = crypto.getRandomValues(new Uint8Array(8));
    await this.send(frame(frameTypes.ping, 0, 0, mark));
    await this.until(
      "the answer to a PING",
      () => this.frames.some(({ type, payload }) => type === frameTypes.ping && payload.join() === mark.join()),
    );
  }

  [Symbol.dispose](): void {
    try {
      this.socket.close();
    } catch {
      // The server's end closed it.
    }
  }
}
