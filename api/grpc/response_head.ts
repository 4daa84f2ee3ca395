/**
 * What the header fields and resets of a response mean for its call.
 *
 * @module
 */
import { type Code, Failure } from "../errors.ts";
import { failureOf } from "../rpc/status.ts";
import { connectionLost, errorCodes } from "./frames.ts";
import type { Field } from "./hpack/static_table.ts";
import { decodeMessage } from "./text.ts";

/** The call goes on, has ended well, or has failed; `early`: this is not the answer's beginning yet. */
export type Outcome = "more" | "early" | "ok" | Failure;

/** What HTTP statuses without a gRPC status stand for. */
const httpStatuses: Readonly<Record<string, number>> = {
  "400": 13,
  "401": 16,
  "403": 7,
  "404": 12,
  "429": 14,
  "502": 14,
  "503": 14,
  "504": 14,
};

/** What a header block says. `first`: it begins the answer; `end`: it ends it. */
export function outcomeOf(fields: readonly Field[], first: boolean, end: boolean): Outcome {
  let http: string | undefined, contentType: string | undefined, status: string | undefined, message = "";
  for (const [name, value] of fields) {
    if (name === ":status") http = value;
    else if (name === "content-type") contentType = value;
    else if (name === "grpc-status") status = value;
    else if (name === "grpc-message") message = value;
  }
  if (first && http?.startsWith("1") === true) return end ? wrong("an informational answer ends the stream") : "early";
  if (first && http !== "200") {
    const code = httpStatuses[http ?? ""] ?? 2;
    return failureOf({ code, message: `unexpected HTTP status code received from server: ${http}` });
  }
  if (first && contentType?.startsWith("application/grpc") !== true) {
    return failureOf({ code: 2, message: `received unexpected content-type ${JSON.stringify(contentType ?? "")}` });
  }
  if (!end) return first ? "more" : wrong("headers in the middle of an answer");
  if (status === undefined) return wrong("server closed the stream without sending trailers");
  if (!/^\d{1,9}$/.test(status)) return wrong(`malformed grpc-status: ${status}`);
  return status === "0" ? "ok" : failureOf({ code: Number(status), message: decodeMessage(message) });
}

function wrong(message: string): Failure {
  return new Failure("Internal", message);
}

/** gRPC over HTTP/2, "HTTP2 Transport Mapping, Errors"; what is not named is Internal. */
const codesOfResets: Readonly<Partial<Record<number, Code>>> = {
  [errorCodes.flowControlError]: "ResourceExhausted",
  [errorCodes.refusedStream]: "Unavailable",
  [errorCodes.cancel]: "Canceled",
  [errorCodes.enhanceYourCalm]: "ResourceExhausted",
  [errorCodes.inadequateSecurity]: "PermissionDenied",
};

/** Why a stream was ended without an answer. */
export function failureOfReset(code: number): Failure {
  if (code === connectionLost) return new Failure("Unavailable", "error reading from server: EOF");
  const name = Object.entries(errorCodes).find(([, number]) => number === code)?.[0];
  // The names of RFC 9113, as grpc-go prints them.
  const text = name?.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase() ?? String(code);
  return new Failure(codesOfResets[code] ?? "Internal", `stream terminated by RST_STREAM with error code: ${text}`);
}
