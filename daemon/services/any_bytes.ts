/**
 * `google.protobuf.Any` between messages and stores, which keep it in its wire form.
 *
 * @module
 */
import { Any } from "../../api/gen/google/protobuf/any.ts";

/** The wire form; undefined stays undefined. */
export function anyBytes(any: Any | undefined): Uint8Array | undefined {
  return any === undefined ? undefined : Any.encode(any).finish();
}

/** The message of a wire form that {@link anyBytes} made. */
export function anyOf(bytes: Uint8Array | undefined): Any | undefined {
  return bytes === undefined ? undefined : Any.decode(bytes);
}

/** Takes over one entry of a map of Any; one that the request has not becomes an empty Any, as in containerd. */
export function withAny(
  map: Readonly<Record<string, Any>>,
  given: Readonly<Record<string, Any>>,
  key: string,
): Record<string, Any> {
  return { ...map, [key]: (Object.hasOwn(given, key) ? given[key] : undefined) ?? Any.create() };
}
