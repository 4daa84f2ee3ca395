/**
 * A service with every kind of call, and servers and channels over sockets, for tests.
 *
 * @module
 */
import { Failure } from "../errors.ts";
import type { CallContext } from "../rpc/context.ts";
import { type MessageType, type ServiceOf, ServiceTable } from "../rpc/definition.ts";
import { connect, dialUnix, type TtrpcChannel } from "./client.ts";
import { serve, type ServerOptions, type TtrpcServer } from "./server.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** A message that is its text; bytes that are no UTF-8 cannot be decoded. */
export const Text: MessageType<string> = {
  encode: (message) => ({ finish: () => encoder.encode(message) }),
  decode: (bytes) => decoder.decode(bytes),
};

const text = { requestType: Text, responseType: Text } as const;

/** Echoes in four ways. */
export const EchoDefinition = {
  name: "Echo",
  fullName: "test.v1.Echo",
  methods: {
    unary: { name: "Unary", ...text, requestStream: false, responseStream: false },
    collect: { name: "Collect", ...text, requestStream: true, responseStream: false },
    repeat: { name: "Repeat", ...text, requestStream: false, responseStream: true },
    chat: { name: "Chat", ...text, requestStream: true, responseStream: true },
  },
} as const;

/** See {@link EchoDefinition}. Some requests ask for something special. */
export class EchoService implements ServiceOf<typeof EchoDefinition> {
  /** Calls that wait, by `unary` of "wait". */
  waiting = 0;
  /** Calls of `unary` that were told that their caller is gone. */
  aborted = 0;
  /** Messages that `repeat` was asked for by its transport, and that `collect` has read. */
  moved = 0;
  /** `collect` reads nothing before this. */
  reading: Promise<void> = Promise.resolve();

  async unary(request: string, context: CallContext): Promise<string> {
    if (request === "fail") throw new Failure("NotFound", "caf\u00e9 100%");
    if (request === "throw") throw new Error("boom");
    if (request === "peer") return JSON.stringify(context.peer);
    if (request === "metadata") return [...context.metadata].map(([key, value]) => `${key}=${value}`).join("\n");
    if (request === "wait") {
      this.waiting++;
      await new Promise((_, reject) => {
        context.signal.addEventListener("abort", () => {
          this.aborted++;
          reject(context.signal.reason);
        });
      }).finally(() => this.waiting--);
    }
    return request;
  }

  async collect(requests: AsyncIterable<string>): Promise<string> {
    let all = "";
    await this.reading;
    for await (const request of requests) {
      if (request === "stop") throw new Failure("Aborted", "stopped");
      this.moved++;
      all += request;
    }
    return all;
  }

  async *repeat(request: string): AsyncGenerator<string> {
    const [count, length] = request.split("x").map(Number);
    const message = "y".repeat(length ?? 1);
    for (let n = 0; n < (count ?? 0); n++) {
      this.moved++;
      yield message;
    }
    if (count === 0) throw new Failure("OutOfRange", "nothing to repeat");
  }

  async *chat(requests: AsyncIterable<string>): AsyncGenerator<string> {
    for await (const request of requests) {
      if (request === "bye") return;
      yield `re: ${request}`;
    }
  }
}

/** A running server. */
export interface Loopback extends AsyncDisposable {
  readonly path: string;
  readonly service: EchoService;
  readonly server: TtrpcServer;
  readonly channel: TtrpcChannel;
}

/** Serves {@link EchoService} on a unix socket, with a channel to it. */
export async function loopback(options: ServerOptions = {}): Promise<Loopback> {
  const directory = await Deno.makeTempDir({ prefix: "barge-ttrpc-" });
  const path = `${directory}/s`;
  const service = new EchoService();
  const table = new ServiceTable().add(EchoDefinition, service);
  const server = serve(Deno.listen({ transport: "unix", path }), table, options);
  const channel = connect({ open: dialUnix(path), metadata: { "containerd-namespace": "test" } });
  return {
    path,
    service,
    server,
    channel,
    async [Symbol.asyncDispose]() {
      channel.close();
      server.close();
      await server.closed;
      await Deno.remove(directory, { recursive: true });
    },
  };
}
