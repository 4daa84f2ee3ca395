/**
 * What a spec asks for and does not get in full, though its container runs.
 *
 * @module
 */
import type { Process, Spec } from "../../api/oci/runtime_spec.ts";
import { lastCapability } from "../../shim/oci/gather_facts.ts";
import { capabilityBits } from "../../shim/oci/plan/capabilities.ts";

/** Sentences on the process: capabilities that neither this runtime nor the kernel knows (in runc's words). */
export function processWarnings({ capabilities }: Process): string[] {
  const names = new Set(Object.values(capabilities ?? {}).flat().filter((name) => typeof name === "string"));
  const last = lastCapability();
  const unknown = [...names].filter((name) => capabilityBits([name], last) === 0n).sort();
  return unknown.length === 0 ? [] : [`ignoring unknown or unavailable capabilities: [${unknown.join(" ")}]`];
}

/** Sentences on the whole spec: those of its process, flags of its execution domain, and mounts whose places are
 * counted from the root. */
export function specWarnings({ process, mounts, linux }: Spec): string[] {
  const relative = (mounts ?? []).filter(({ destination }) => !destination.startsWith("/"));
  const flags = linux?.personality?.flags ?? [];
  const strange = (linux?.resources?.devices ?? []).filter(({ access, type }) =>
    type !== "a" && /[^rwm]/.test(access ?? "")
  );
  return [
    ...strange.map(({ access }) => `device access "${access}": letters other than r, w and m have no effect`),
    ...process === undefined ? [] : processWarnings(process),
    // The specification names none; runc passes over them with these words.
    ...flags.length === 0 ? [] : [
      `ignoring unsupported personality flags: [${
        flags.join(" ")
      }] because personality flag has not supported at this time`,
    ],
    ...relative.map(({ destination }) =>
      `mount destination ${destination} is not absolute: it is counted from the root`
    ),
  ];
}
