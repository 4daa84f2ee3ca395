/**
 * The filter of a spec, compiled only where it has a profile: the compiler brings tables of five architectures along.
 *
 * @module
 */
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { hostArch } from "../../../ffi/arch.ts";
import type { CompiledFilter } from "./compile.ts";

/** The compiled profile for this machine; undefined without one. Throws as `compileSeccomp`. */
export async function filterOf(spec: Spec): Promise<CompiledFilter | undefined> {
  const profile = spec.linux?.seccomp;
  if (profile === undefined) return undefined;
  const { compileSeccomp } = await import("./compile.ts");
  return compileSeccomp(profile, hostArch);
}
