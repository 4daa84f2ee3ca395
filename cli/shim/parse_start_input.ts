/**
 * The messages on standard input of `start`.
 *
 * @module
 */
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { BootstrapParams, BootstrapResult } from "../../api/gen/runtime/bootstrap/v1/bootstrap.ts";
import { requestedOptions } from "../../shim/task/requested_options.ts";
import { optionsKeyOf } from "../../shim/task/runtime_options.ts";
import type { StartInput } from "./start_input.ts";

/** Adds what the bytes say. An `Any` may read as the newer message as well; then the id is not this container's. */
export async function parseStartInput(plain: StartInput, bytes: Uint8Array): Promise<StartInput> {
  const params = decoded(() => BootstrapParams.decode(bytes));
  if (params === undefined || params.instanceId !== plain.id) {
    return await withOptions(plain, decoded(() => Any.decode(bytes)));
  }
  const options = params.extensions.find(({ value }) => isOptions(value?.typeUrl ?? ""))?.value;
  return await withOptions({
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

/** Extensions of other kinds are not for this shim; options of another runtime are told as such. */
function isOptions(typeUrl: string): boolean {
  return typeUrl.endsWith("Options");
}

async function withOptions(input: StartInput, any: Any | undefined): Promise<StartInput> {
  if (any === undefined) return input;
  const options = await requestedOptions(any);
  return { ...input, shimCgroup: options.shimCgroup, optionsKey: optionsKeyOf(options) };
}

function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}
