/**
 * What a shim's `start` answers: where it listens, and which version of the task service it speaks.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { BootstrapResult } from "../../api/gen/runtime/bootstrap/v1/bootstrap.ts";

/** Where and how a shim is reached. */
export interface ShimEndpoint {
  /** `unix://PATH`, or the name of an abstract socket. */
  readonly address: string;
  readonly protocol: "ttrpc";
  /** Of the task service. */
  readonly version: 2 | 3;
}

/** An answer has the length of a path and some words; whatever is longer is not one. */
const answerBytesMax = 64 << 10;

/**
 * Understands all three forms: an address alone, as shims of containerd 1.x print it, a JSON object, and a protobuf
 * `BootstrapResult`. Throws `NotImplemented` for what this daemon does not speak, `InvalidArgument` for nonsense.
 */
export function parseEndpoint(output: Uint8Array): ShimEndpoint {
  if (output.length > answerBytesMax) {
    throw new Failure("InvalidArgument", `shim answered with ${output.length} bytes, want an address`);
  }
  // The version, a varint, comes first in protobuf, and no text begins with a tabulator's neighbour.
  if (output[0] === 0x08) return endpointOf(decodeResult(output));
  const text = new TextDecoder().decode(output).trim();
  if (text === "") throw new Failure("InvalidArgument", "shim answered nothing, want an address");
  if (!text.startsWith("{")) return endpointOf({ version: 2, address: text, protocol: "ttrpc" });
  try {
    return endpointOf(JSON.parse(text));
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("InvalidArgument", `shim answered with broken JSON: ${messageOf(error)}`, { cause: error });
  }
}

function decodeResult(output: Uint8Array): BootstrapResult {
  try {
    return BootstrapResult.decode(output);
  } catch (error) {
    throw new Failure("InvalidArgument", `shim answered with a broken BootstrapResult: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function endpointOf(found: { version?: unknown; address?: unknown; protocol?: unknown }): ShimEndpoint {
  const { version, address } = found;
  if (typeof address !== "string" || address === "") {
    throw new Failure("InvalidArgument", "shim answered without an address");
  }
  if (version !== 2 && version !== 3) throw new Failure("NotImplemented", `unsupported shim version (${version})`);
  const protocol = String(found.protocol ?? "").toLowerCase();
  if (protocol !== "" && protocol !== "ttrpc") {
    // A gRPC connection that nobody uses does not tell when the shim is gone.
    throw new Failure("NotImplemented", `unsupported shim protocol "${protocol}": want ttrpc`);
  }
  return { version, address, protocol: "ttrpc" };
}

/** What the bundle keeps in `bootstrap.json`, so that the next daemon finds the shim. */
export function endpointJson({ version, address, protocol }: ShimEndpoint): string {
  return JSON.stringify({ version, address, protocol });
}

/**
 * The path of the unix socket, with `@` before an abstract one. Throws `NotImplemented` for sockets of virtual machines.
 */
export function socketOf(address: string): string {
  const [scheme, rest] = address.includes("://") ? address.split("://", 2) : ["", address];
  if (scheme === "") return `@${rest}`;
  if (scheme === "unix") return rest!;
  throw new Failure("NotImplemented", `unsupported shim address "${address}": want unix://PATH`);
}
