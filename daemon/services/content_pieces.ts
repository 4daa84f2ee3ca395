/**
 * Pieces of blobs on their way to a client, without copying them to put their message's head before them.
 *
 * @module
 */
import { ContentDefinition, ReadContentResponse } from "../../api/gen/services/content/v1/content.ts";
import type { MessageType } from "../../api/rpc/definition.ts";
import { headRoom, takeHeadRoom } from "../content/blob_reader.ts";

/** Tags of the message's two fields: an int64 and bytes. */
const offsetTag = 8, dataTag = 18;

/** The bytes of a varint, at most eight of them: offsets are integers that JavaScript has. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push(value % 128 | 0x80);
  bytes.push(value);
  return bytes;
}

function inPlace(message: ReadContentResponse): Uint8Array {
  const { offset, data } = message;
  if (data.length === 0 || offset < 0 || !takeHeadRoom(data)) return ReadContentResponse.encode(message).finish();
  const head = [...(offset === 0 ? [] : [offsetTag, ...varint(offset)]), dataTag, ...varint(data.length)];
  const whole = new Uint8Array(data.buffer, data.byteOffset - head.length, head.length + data.length);
  whole.set(head);
  return whole;
}

/** As the generated one; pieces that `readBlob` gave are encoded where they are, once. */
export const pieceType: MessageType<ReadContentResponse> = {
  encode: (message) => ({ finish: () => inPlace(message) }),
  decode: (bytes) => ReadContentResponse.decode(bytes),
};

// One head fits: two tags and two varints.
if (headRoom < 2 + 8 + 8) throw new Error("the room before a piece is too small for its head");

/** The definition that the daemon serves. */
export const servedContentDefinition: typeof ContentDefinition = {
  ...ContentDefinition,
  methods: {
    ...ContentDefinition.methods,
    // Transports use encode and decode only.
    read: {
      ...ContentDefinition.methods.read,
      responseType: { ...ReadContentResponse, ...pieceType } as typeof ReadContentResponse,
    },
  },
};
