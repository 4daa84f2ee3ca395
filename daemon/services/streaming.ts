/**
 * The streaming service.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { type StreamingDefinition, StreamInit } from "../../api/gen/services/streaming/v1/streaming.ts";
import { type CallContext, namespaceKey } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { MessageStream, type StreamTable } from "../streams/message_stream.ts";
import { typeName } from "../streams/type_name.ts";

/** `containerd.services.streaming.v1.Streaming`: registers streams for other services. Works without a namespace. */
export class StreamingService implements ServiceOf<typeof StreamingDefinition> {
  constructor(private readonly parts: { readonly streams: StreamTable }) {}

  /** The first message names the stream; its acknowledgement says that other services can find it. */
  async *stream(requests: AsyncIterable<Any>, { metadata, signal }: CallContext): AsyncGenerator<Any> {
    const { streams } = this.parts;
    const incoming = requests[Symbol.asyncIterator]();
    const first = await incoming.next();
    if (first.done === true) return;
    if (typeName(first.value.typeUrl) !== "containerd.services.streaming.v1.StreamInit") {
      throw new Failure(
        "InvalidArgument",
        `stream: the first message is a ${first.value.typeUrl}, expected a StreamInit`,
      );
    }
    const { id } = StreamInit.decode(first.value.value);
    if (id === "") throw new Failure("InvalidArgument", "stream: it needs an id");
    const namespace = metadata.get(namespaceKey) ?? "";
    const stream = new MessageStream(incoming);
    streams.add(namespace, id, stream);
    try {
      yield Any.create({ typeUrl: "google.protobuf.Empty" });
      yield* stream.outgoing(signal);
    } finally {
      streams.remove(namespace, id);
    }
  }
}
