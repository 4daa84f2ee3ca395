/**
 * What the runtime is and can do, for `-info`.
 *
 * @module
 */
import { RuntimeInfo } from "../../api/gen/types/introspection.ts";
import { version } from "../../api/version.ts";
import { features } from "../oci/features.ts";

/** A serialized `containerd.types.RuntimeInfo`. */
export function runtimeInfo(name: string): Uint8Array {
  const value = new TextEncoder().encode(features());
  const typeUrl = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
  return RuntimeInfo.encode(RuntimeInfo.create({
    name,
    version: { version, revision: "barge" },
    features: { typeUrl, value },
  })).finish();
}
