/**
 * A service with every kind of method, over plain bytes: what tests and measurements of the gRPC engine call.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { CallContext } from "../../api/rpc/context.ts";
import { type MessageType, type ServiceOf, ServiceTable } from "../../api/rpc/definition.ts";

/** A message that is nothing but its bytes. */
export const bytesType: MessageType<Uint8Array> = {
  encode: (message) => ({ finish: () => message }),
  decode: (bytes) => bytes,
};

const bytes = { requestType: bytesType, responseType: bytesType } as const;

/** See the module. */
export const EchoDefinition = {
  name: "Echo",
  fullName: "test.Echo",
  methods: {
    /** Answers the request. */
    unary: { name: "Unary", ...bytes, requestStream: false, responseStream: false },
    /** Fails as the request's text says: `CODE message`. */
    fail: { name: "Fail", ...bytes, requestStream: false, responseStream: false },
    /** Answers when the call is given up, which {@link Echo.abandoned} counts. */
    hang: { name: "Hang", ...bytes, requestStream: false, responseStream: false },
    /** Answers with the metadata of the call as JSON. */
    metadata: { name: "Metadata", ...bytes, requestStream: false, responseStream: false },
    /** Sends as many messages as the first 32-bit number of the request says, of as many bytes as the second. */
    down: { name: "Down", ...bytes, requestStream: false, responseStream: true },
    /** Answers with the number of bytes that came, as text. */
    up: { name: "Up", ...bytes, requestStream: true, responseStream: false },
    /** Sends each request back. */
    both: { name: "Both", ...bytes, requestStream: true, responseStream: true },
  },
} as const;

/** The request of {@link EchoDefinition}'s `down`. */
export function downRequest(messages: number, bytesEach: number): Uint8Array {
  const request = new Uint8Array(8);
  const view = new DataView(request.buffer);
  view.setUint32(0, messages);
  view.setUint32(4, bytesEach);
  return request;
}

const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** See {@link EchoDefinition}. Counts what a test asks for afterwards. */
export class Echo implements ServiceOf<typeof EchoDefinition> {
  /** Calls of any kind that have begun and not ended. */
  live = 0;
  /** Calls that were given up while they ran. */
  abandoned = 0;
  /** Messages that `down` was asked for by its reader. */
  pulled = 0;
  /** Messages that `up` and `both` have taken. */
  taken = 0;

  async unary(request: Uint8Array): Promise<Uint8Array> {
    return await Promise.resolve(request);
  }

  async fail(request: Uint8Array): Promise<Uint8Array> {
    const [code = "", ...words] = new TextDecoder().decode(request).split(" ");
    if (code === "Error") throw new Error(words.join(" "));
    // The tests write codes that there are.
    throw await Promise.resolve(new Failure(code as "NotFound", words.join(" ")));
  }

  async hang(_: Uint8Array, { signal }: CallContext): Promise<Uint8Array> {
    this.live++;
    try {
      return await never(signal);
    } finally {
      this.live--;
      this.abandoned++;
    }
  }

  async metadata(_: Uint8Array, { metadata }: CallContext): Promise<Uint8Array> {
    return await Promise.resolve(new TextEncoder().encode(JSON.stringify(Object.fromEntries(metadata))));
  }

  async *down(request: Uint8Array): AsyncGenerator<Uint8Array> {
    const view = new DataView(request.buffer, request.byteOffset);
    const count = view.getUint32(0), size = view.getUint32(4);
    this.live++;
    let whole = false;
    try {
      for (let sent = 0; sent < count; sent++) {
        this.pulled++;
        yield new Uint8Array(size).fill(sent);
      }
      whole = true;
    } finally {
      this.live--;
      if (!whole) this.abandoned++;
      await Promise.resolve();
    }
  }

  async up(requests: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
    let total = 0;
    for await (const { length } of this.#counted(requests)) total += length;
    return new TextEncoder().encode(String(total));
  }

  async *both(requests: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    yield* this.#counted(requests);
  }

  async *#counted(requests: AsyncIterable<Uint8Array>) {
    this.live++;
    let whole = false;
    try {
      for await (const request of requests) {
        this.taken++;
        yield request;
      }
      whole = true;
    } finally {
      this.live--;
      if (!whole) this.abandoned++;
    }
  }
}

/** A table with the service. */
export function echoTable(echo: Echo): ServiceTable {
  return new ServiceTable().add(EchoDefinition, echo);
}
