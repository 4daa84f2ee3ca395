/**
 * A service with every kind of call, and what tests of a transport ask about it.
 *
 * @module
 */
import { ok } from "node:assert/strict";
import { type Code, Failure, isFailure } from "../errors.ts";
import type { CallContext } from "./context.ts";
import type { MessageType, ServiceOf } from "./definition.ts";

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
  /** Calls of `unary` and `repeat` that were told that their caller is gone. */
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

  async *repeat(request: string, context: CallContext): AsyncGenerator<string> {
    context.signal.addEventListener("abort", () => this.aborted++);
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

/** For `rejects`: whether the error is a failure with this code, and this text where one is given. */
export function isCode(code: Code, text?: RegExp): (error: unknown) => boolean {
  return (error) => isFailure(error, code) && (text === undefined || text.test(error.message));
}

/** The items as a stream of requests. */
export async function* each(...items: string[]): AsyncGenerator<string> {
  yield* items;
}

/** All that a stream of responses has. */
export async function all(items: AsyncIterable<string>): Promise<string[]> {
  return await Array.fromAsync(items);
}

/** Waits until it is so. Throws where it has not come to that within 2 s. */
export async function until(condition: () => boolean): Promise<void> {
  for (let left = 500; left > 0 && !condition(); left--) await new Promise((resolve) => setTimeout(resolve, 4));
  ok(condition(), "it did not come to that within 2 s");
}
