/**
 * Tasks that are to be made by a sandbox's shim, at an address.
 *
 * @module
 */
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { typeName } from "../streams/type_name.ts";

/** Whether runc's options name such an address, the deprecated way to do so. What cannot be read is for the shim to say. */
export function namesTaskApi(options: Any | undefined): boolean {
  if (options === undefined || options.value.length === 0) return false;
  if (typeName(options.typeUrl) !== "containerd.runc.v1.Options") return false;
  try {
    return Options.decode(options.value).taskApiAddress !== "";
  } catch {
    return false;
  }
}
