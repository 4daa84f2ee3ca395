/**
 * The messages on standard input of `start`.
 *
 * @module
 */
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { BootstrapParams, BootstrapResult } from "../../api/gen/runtime/bootstrap/v1/bootstrap.ts";
import { runtimeOptions } from "../../shim/task/runtime_options.ts";
import type { StartInput } from "./start_input.ts";

/** Adds what the bytes say. An `Any` may read as the newer message as well; then the id is not this container's. */
export function parseStartInput(plain: StartInput, bytes: Uint8Array): StartInput {
  const params = decoded(() => BootstrapParams.decode(bytes));
  if (params === undefined || params.instanceId !== plain.id) {
    return withOptions(plain, decoded(() => Any.decode(bytes)));
  }
  const options = params.extensions.find(({ value }) => value?.typeUrl.endsWith("runc.v1.Options"))?.value;
  return withOptions({
    ...plain,
    namespace: params.namespace || plain.namespace,
    address: params.containerdGrpcAddress || plain.address,
    ttrpcAddress: params.containerdTtrpcAddress || plain.ttrpcAddress,
    publishBinary: params.containerdBinary || plain.publishBinary,
    // -4 is DEBUG, and more talkative levels are below.
    debug: plain.debug || params.logLevel <= -4,
    socketDirectory: params.socketDir,
    answer: (address) =>
      BootstrapResult.encode(BootstrapResult.create({ version: 3, address, protocol: "ttrpc" })).finish(),
  }, options);
}

function withOptions(input: StartInput, any: Any | undefined): StartInput {
  if (any === undefined) return input;
  const options = runtimeOptions(any);
  return { ...input, shimCgroup: options.shimCgroup, optionsKey: JSON.stringify(options) };
}

function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
