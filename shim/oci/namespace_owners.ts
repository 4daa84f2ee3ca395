/**
 * Whom namespaces belong to (ioctl_ns(2)).
 *
 * @module
 */
import type { NamespaceType, Spec } from "../../api/oci/runtime_spec.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { attempt } from "../../ffi/syscall.ts";
import { openNamespace } from "./open_namespace.ts";

/**
 * The types among the spec's namespaces by path that belong to the user namespace which the spec joins: joining those
 * wants rights there. What cannot be opened or asked is left out: the new process fails at it by name.
 */
export function ownedByJoinedUser(spec: Spec): Set<NamespaceType> {
  const given = (spec.linux?.namespaces ?? []).filter(({ path }) => path);
  const user = given.find(({ type }) => type === "user");
  const wanted = user && identityOf(user.path!);
  const others = wanted === undefined ? [] : given.filter(({ type }) => type !== "user");
  return new Set(others.filter(({ path }) => ownerOf(path!) === wanted).map(({ type }) => type));
}

function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** The user namespace that the namespace belongs to. */
function ownerOf(path: string): string | undefined {
  try {
    using namespace = openNamespace(path);
    const owner = attempt("ioctl", namespace.number, flags("NS_GET_USERNS"), 0);
    if (owner < 0) return undefined;
    using descriptor = new Descriptor(owner);
    return identityOf(`/proc/self/fd/${descriptor.number}`);
  } catch {
    return undefined;
  }
}
