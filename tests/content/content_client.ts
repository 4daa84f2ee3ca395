/**
 * A client of the content service that writes down what it is answered, so that two servers can be compared.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Failure, messageOf } from "../../api/errors.ts";
import {
  ContentDefinition,
  WriteAction,
  WriteContentRequest,
  type WriteContentResponse,
} from "../../api/gen/services/content/v1/content.ts";
import { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import { connect, dialUnix, type GrpcChannel } from "../../api/grpc/client.ts";
import type { ClientOf } from "../../api/rpc/definition.ts";

/** The content part of a server's API. */
export type ContentClient = ClientOf<typeof ContentDefinition>;

/** A request with what is not said left out. */
export type PartialWrite = Parameters<typeof WriteContentRequest.fromPartial>[0];

/** The digest of bytes by an algorithm. */
export function digestOf(bytes: Uint8Array, algorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** Text as bytes. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** One stream of Write, message by message. */
export class WriteStream implements AsyncDisposable {
  readonly #queue: WriteContentRequest[] = [];
  #wake = Promise.withResolvers<void>();
  #ended = false;
  readonly #leaving = new AbortController();
  readonly #responses: AsyncIterator<WriteContentResponse>;

  constructor(client: ContentClient, metadata: Readonly<Record<string, string>> = {}) {
    const options = { signal: this.#leaving.signal, metadata };
    this.#responses = client.write(this.#requests(), options)[Symbol.asyncIterator]();
  }

  async *#requests(): AsyncGenerator<WriteContentRequest> {
    for (;;) {
      while (this.#queue.length > 0) yield this.#queue.shift()!;
      if (this.#ended) return;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }

  /** Sends a message and gives its answer; undefined where the stream ends instead. */
  async say(request: PartialWrite): Promise<WriteContentResponse | undefined> {
    this.#queue.push(WriteContentRequest.fromPartial(request));
    this.#wake.resolve();
    return await this.next();
  }

  /** The next answer; undefined at the end. */
  async next(): Promise<WriteContentResponse | undefined> {
    const { done, value } = await this.#responses.next();
    return done === true ? undefined : value;
  }

  /** Says that no more comes, and gives the answers that are still there. */
  async end(): Promise<WriteContentResponse[]> {
    this.#ended = true;
    this.#wake.resolve();
    const rest: WriteContentResponse[] = [];
    for (let response; (response = await this.next()) !== undefined;) rest.push(response);
    return rest;
  }

  /** Goes away without a word. */
  leave(): void {
    this.#leaving.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leave();
    this.#ended = true;
    this.#wake.resolve();
    try {
      while (await this.next() !== undefined);
    } catch {
      // It is ended by us, or was by the server.
    }
  }
}

/** Notes of what a server answers. */
export class Transcript {
  /** One line each. */
  readonly lines: string[] = [];
  readonly content: ContentClient;
  readonly leases: ClientOf<typeof LeasesDefinition>;

  constructor(readonly channel: GrpcChannel) {
    this.content = channel.client(ContentDefinition);
    this.leases = channel.client(LeasesDefinition);
  }

  /** Notes what a call answers: its value as JSON with times reduced to whether they are there, or its failure. */
  async note<T>(what: string, call: () => Promise<T>): Promise<T | undefined> {
    try {
      const value = await call();
      this.lines.push(`${what}: ${JSON.stringify(value, plain)}`);
      return value;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.lines.push(`${what}: ${error.code} ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Notes all messages of a stream. */
  async noteAll<T>(what: string, stream: () => AsyncIterable<T>): Promise<void> {
    await this.note(what, async () => await Array.fromAsync(stream()));
  }

  /** Notes a failure by its code alone: the text is another in containerd 1.6. */
  async noteCode(what: string, call: () => Promise<unknown>): Promise<void> {
    try {
      await call();
      this.lines.push(`${what}: success`);
    } catch (error) {
      this.lines.push(`${what}: ${error instanceof Failure ? error.code : messageOf(error)}`);
    }
  }

  /** Notes the blobs that pass a filter, without the time of their change: containerd 1.6 does not send it here. */
  async list(filter: string): Promise<void> {
    await this.noteAll(
      `list ${filter}`,
      async function* (this: Transcript) {
        for await (const { info } of this.content.list({ filters: [filter] })) {
          yield info.map((blob) => ({ ...blob, updatedAt: undefined }));
        }
      }.bind(this),
    );
  }

  /** Writes a blob in one message and does not note it. */
  async put(text: string, ref = `put-${text}`, labels: Record<string, string> = {}): Promise<string> {
    const data = bytesOf(text);
    const expected = digestOf(data);
    await using stream = new WriteStream(this.content);
    await stream.say({ action: WriteAction.COMMIT, ref, expected, total: data.length, data, labels });
    await stream.end();
    return expected;
  }
}

function plain(this: unknown, key: string, value: unknown): unknown {
  if (key === "createdAt" || key === "updatedAt" || key === "startedAt") {
    // Field values of messages; both servers have the same ones.
    const time = value as { seconds: number } | undefined;
    // containerd 1.6 sends the year 1 where 2.x sends nothing.
    return time === undefined || time.seconds < 0 ? undefined : time.seconds > 1_600_000_000 ? "now" : time.seconds;
  }
  if (key === "labels") {
    // Maps have no order on the wire.
    return Object.fromEntries(Object.entries(value as Record<string, string>).sort(([a], [b]) => a < b ? -1 : 1));
  }
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
}

/** A transcript of what the server at a socket answers in a namespace. */
export function transcriptOf(socket: string, namespace: string, lease?: string): Transcript & Disposable {
  const metadata = {
    ...(namespace === "" ? {} : { "containerd-namespace": namespace }),
    ...(lease === undefined ? {} : { "containerd-lease": lease }),
  };
  const channel = connect({ open: dialUnix(socket), metadata });
  return Object.assign(new Transcript(channel), { [Symbol.dispose]: () => channel.close() });
}
