/**
 * What the header fields of a request say, and whether they may be so.
 *
 * @module
 */
import type { Field } from "./hpack/static_table.ts";

/** Of all the fields, those that decide how a call is taken. */
export interface RequestHead {
  readonly verb: string;
  readonly path: string;
  readonly contentType: string | undefined;
  /** `grpc-timeout`. */
  readonly timeout: string | undefined;
  /** `grpc-encoding`. */
  readonly encoding: string | undefined;
}

/** RFC 9113 section 8.2.2: what HTTP/1 says of its connection has no place here. */
const ofConnection = new Set(["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"]);
/** Characters of a name: those of RFC 9110's tokens, in lower case. */
const goodName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// NUL, carriage return and line feed could be taken for the end of a value by whoever gets it next.
const badValue = /[\0\r\n]/;

/** The head of a request; undefined where it is malformed (RFC 9113 section 8.3), which resets its stream. */
export function requestHead(fields: readonly Field[]): RequestHead | undefined {
  let verb: string | undefined, path: string | undefined, scheme: string | undefined, authority: string | undefined;
  let contentType: string | undefined, timeout: string | undefined, encoding: string | undefined;
  let regular = false;
  for (const [name, value] of fields) {
    if (name.charCodeAt(0) !== 58) {
      regular = true;
      if (!isFieldAllowed(name, value)) return undefined;
      if (name === "content-type") contentType ??= value;
      else if (name === "grpc-timeout") timeout ??= value;
      else if (name === "grpc-encoding") encoding ??= value;
      continue;
    }
    if (regular) return undefined;
    if (name === ":method" && verb === undefined) verb = value;
    else if (name === ":path" && path === undefined && value !== "") path = value;
    else if (name === ":scheme" && scheme === undefined) scheme = value;
    else if (name === ":authority" && authority === undefined) authority = value;
    else return undefined;
  }
  if (verb === undefined || path === undefined || scheme === undefined) return undefined;
  return { verb, path, contentType, timeout, encoding };
}

function isFieldAllowed(name: string, value: string): boolean {
  if (name === "te") return value === "trailers";
  return goodName.test(name) && !badValue.test(value) && !ofConnection.has(name);
}
