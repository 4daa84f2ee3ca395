/**
 * Which capabilities a container gets.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { capabilityNames } from "../../shim/oci/plan/capabilities.ts";

/** What a container has unless it is told otherwise: docker's fourteen. */
export const defaultCapabilities: readonly string[] = (
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
).split(" ").map((name) => `CAP_${name}`);

/** The name of `--cap-add` and `--cap-drop` in full: `ALL`, or with `CAP_`, in any case. Throws `InvalidArgument`. */
export function parseCapability(text: string): string {
  const upper = text.toUpperCase();
  if (upper === "ALL" || upper === "CAP_ALL") return "ALL";
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (!capabilityNames.includes(name)) {
    throw new Failure("InvalidArgument", "want ALL or a capability such as NET_ADMIN");
  }
  return name;
}

/** The names of a mask as `/proc/PID/status` has it (`CapBnd: 000001ffffffffff`), in the kernel's order. */
export function capabilitiesOfMask(hex: string): string[] {
  const mask = BigInt(`0x${hex}`);
  return capabilityNames.filter((_, number) => (mask >> BigInt(number) & 1n) === 1n);
}

/** What is asked for; names are in full. */
export interface CapabilityRequest {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly privileged: boolean;
}

/**
 * The capabilities of the container's root, by docker's rules: dropping ALL leaves what is added, adding ALL gives all
 * but what is dropped. `available` is the caller's own bounding set: nobody can give more. What is there only by default
 * is left out silently where it is not available; what is asked for by name is not: throws `PermissionDenied`.
 */
export function chooseCapabilities(request: CapabilityRequest, available: readonly string[]): string[] {
  if (request.privileged) return [...available];
  const missing = request.add.find((name) => name !== "ALL" && !available.includes(name));
  if (missing !== undefined) {
    throw new Failure(
      "PermissionDenied",
      `cannot give the container ${missing}: barge itself does not have it in its bounding set`,
    );
  }
  const kept = (names: readonly string[]) => names.filter((name) => !request.drop.includes(name));
  const chosen = new Set(
    request.add.includes("ALL")
      ? kept(available)
      : [...(request.drop.includes("ALL") ? [] : kept(defaultCapabilities)), ...request.add],
  );
  return capabilityNames.filter((name) => chosen.has(name) && available.includes(name));
}
