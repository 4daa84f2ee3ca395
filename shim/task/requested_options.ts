/**
 * The runtime options of a request, in each of the forms that clients send.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { optionsType, type RuntimeOptions } from "./runtime_options.ts";

/** Reads them. Throws `InvalidArgument` for those of another runtime, and for what this one has not. */
export async function requestedOptions(any: Any | undefined): Promise<RuntimeOptions> {
  if (any === undefined || any.typeUrl === "" && any.value.length === 0) return Options.create();
  const name = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
  if (name === optionsType) {
    try {
      return Options.decode(any.value);
    } catch (error) {
      throw new Failure("InvalidArgument", `the options are no ${optionsType}`, { cause: error });
    }
  }
  // What clients send to runtimes that they do not know by name.
  const { foreignOptions } = await import("./foreign_options.ts");
  return await foreignOptions(name, any.value);
}
