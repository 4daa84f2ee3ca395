/**
 * One message for many streams: encoded by the first that asks.
 *
 * @module
 */
import type { MessageType } from "../../api/rpc/definition.ts";

/**
 * The message type, with the bytes of each message object remembered as long as the object lives. For messages that
 * nobody changes. Transports need not know: each gets the same bytes, and must not change them either.
 */
export function encodedOnce<T extends object>(type: MessageType<T>): MessageType<T> {
  const encoded = new WeakMap<T, { finish(): Uint8Array }>();
  return {
    encode(message) {
      let result = encoded.get(message);
      if (result === undefined) {
        const bytes = type.encode(message).finish();
        result = { finish: () => bytes };
        encoded.set(message, result);
      }
      return result;
    },
    decode: (bytes) => type.decode(bytes),
  };
}
