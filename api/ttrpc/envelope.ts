/**
 * ttrpc's envelopes: `Request` and `Response`, which every call has one of each.
 *
 * Written by hand, for they are hot: what does not change from call to call is encoded once, and payloads are not
 * copied more often than they must. A test compares them with the generated code.
 *
 * @module
 */
import { namespaceKey } from "../rpc/context.ts";
import type { Status } from "../rpc/status.ts";
import { fieldBytes, FieldReader, Malformed, putField, putVarint, varintBytes } from "./wire.ts";

/** containerd's key for the namespace on ttrpc; handlers see {@link namespaceKey}. */
export const ttrpcNamespaceKey = "containerd-namespace-ttrpc";

/** A request, its names not yet looked up. */
export interface RequestEnvelope {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  /** Undefined: none. */
  readonly timeoutMs: number | undefined;
  /** Encoded pairs, for {@link metadataOf}. */
  readonly metadata: readonly Uint8Array[];
}

/** A response. Code 0 is success. */
export interface ResponseEnvelope {
  readonly status: Status;
  readonly payload: Uint8Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const empty: Uint8Array = new Uint8Array();
const fields = { service: 1, method: 2, payload: 3, timeout: 4, metadata: 5 } as const;

/** The beginning of all requests of a method. */
export function requestPrefix(service: string, method: string): Uint8Array {
  const serviceBytes = encoder.encode(service), methodBytes = encoder.encode(method);
  const prefix = new Uint8Array(fieldBytes(serviceBytes.length) + fieldBytes(methodBytes.length));
  putField(prefix, putField(prefix, 0, fields.service, serviceBytes), fields.method, methodBytes);
  return prefix;
}

/** The end of a request: its metadata, with the namespace's key as ttrpc has it. */
export function encodeMetadata(metadata: Readonly<Record<string, string>>): Uint8Array {
  const pairs = Object.entries(metadata).map(([key, value]) => {
    const keyBytes = encoder.encode(key === namespaceKey ? ttrpcNamespaceKey : key.toLowerCase());
    const valueBytes = encoder.encode(value);
    const pair = new Uint8Array(fieldBytes(keyBytes.length) + fieldBytes(valueBytes.length));
    putField(pair, putField(pair, 0, 1, keyBytes), 2, valueBytes);
    return pair;
  });
  const encoded = new Uint8Array(pairs.reduce((sum, pair) => sum + fieldBytes(pair.length), 0));
  pairs.reduce((at, pair) => putField(encoded, at, fields.metadata, pair), 0);
  return encoded;
}

/** What {@link requestBytes} and {@link putRequest} need. `timeoutNanos` 0: none. */
export interface RequestParts {
  readonly prefix: Uint8Array;
  readonly payload: Uint8Array;
  readonly timeoutNanos: number;
  readonly metadata: Uint8Array;
}

/** Bytes of an encoded request. */
export function requestBytes({ prefix, payload, timeoutNanos, metadata }: RequestParts): number {
  const timeout = timeoutNanos === 0 ? 0 : 1 + varintBytes(timeoutNanos);
  return prefix.length + (payload.length === 0 ? 0 : fieldBytes(payload.length)) + timeout + metadata.length;
}

/** Writes a request into {@link requestBytes}. */
export function putRequest(into: Uint8Array, at: number, parts: RequestParts): void {
  const { prefix, payload, timeoutNanos, metadata } = parts;
  into.set(prefix, at);
  let to = at + prefix.length;
  if (payload.length > 0) to = putField(into, to, fields.payload, payload);
  if (timeoutNanos !== 0) {
    into[to] = fields.timeout << 3;
    to = putVarint(into, to + 1, timeoutNanos);
  }
  into.set(metadata, to);
}

/** Reads a request; payload and metadata are views. Throws {@link Malformed}. */
export function decodeRequest(bytes: Uint8Array): RequestEnvelope {
  let service = "", method = "", payload = empty, nanos = 0;
  const metadata: Uint8Array[] = [];
  const reader = new FieldReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === fields.service) service = textOf(reader.takeBytes());
    else if (field === fields.method) method = textOf(reader.takeBytes());
    else if (field === fields.payload) payload = reader.takeBytes() ?? empty;
    else if (field === fields.timeout) nanos = reader.takeVarint() ?? 0;
    else if (field === fields.metadata) metadata.push(reader.takeBytes() ?? empty);
    else reader.skip();
  }
  // Negative ones, which Go takes for none, come out above 2^63.
  const timeoutMs = nanos === 0 || nanos >= 2 ** 63 ? undefined : nanos / 1e6;
  return { service, method, payload, timeoutMs, metadata };
}

/** First value of each key. Throws {@link Malformed}. */
export function metadataOf(pairs: readonly Uint8Array[]): Map<string, string> {
  const metadata = new Map<string, string>();
  for (const pair of pairs) {
    let key = "", value = "";
    const reader = new FieldReader(pair);
    for (let field = reader.next(); field !== 0; field = reader.next()) {
      if (field === 1) key = textOf(reader.takeBytes());
      else if (field === 2) value = textOf(reader.takeBytes());
      else reader.skip();
    }
    const name = key.toLowerCase();
    // The key of gRPC means nothing here.
    if (name === namespaceKey) continue;
    const translated = name === ttrpcNamespaceKey ? namespaceKey : name;
    if (!metadata.has(translated)) metadata.set(translated, value);
  }
  return metadata;
}

/** Bytes of a successful response with a payload of this length. */
export function responseBytes(payloadLength: number): number {
  return payloadLength === 0 ? 0 : fieldBytes(payloadLength);
}

/** Writes a successful response into {@link responseBytes}. */
export function putResponse(into: Uint8Array, at: number, payload: Uint8Array): void {
  if (payload.length > 0) putField(into, at, 2, payload);
}

/** An encoded response that tells a failure. */
export function encodeFailure({ code, message }: Status): Uint8Array {
  const text = encoder.encode(message);
  const status = new Uint8Array(1 + varintBytes(code) + fieldBytes(text.length));
  status[0] = 1 << 3;
  putField(status, putVarint(status, 1, code), 2, text);
  const response = new Uint8Array(fieldBytes(status.length));
  putField(response, 0, 1, status);
  return response;
}

/** Reads a response; the payload is a view. Throws {@link Malformed}. */
export function decodeResponse(bytes: Uint8Array): ResponseEnvelope {
  let code = 0, message = "", payload = empty;
  const reader = new FieldReader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 2) payload = reader.takeBytes() ?? empty;
    else if (field === 1) {
      const status = new FieldReader(reader.takeBytes() ?? empty);
      for (let inner = status.next(); inner !== 0; inner = status.next()) {
        if (inner === 1) code = status.takeVarint() ?? 0;
        else if (inner === 2) message = textOf(status.takeBytes());
        else status.skip();
      }
    } else reader.skip();
  }
  return { status: { code, message }, payload };
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : decoder.decode(bytes);
}

export { Malformed };
