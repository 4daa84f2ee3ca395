/**
 * Namespaces of a container that others have made: criu leaves those alone.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Namespace, NamespaceType, Spec } from "../../../api/oci/runtime_spec.ts";

/** criu's names of types; its keys of those that it takes by descriptor are made from them. */
const names: Readonly<Record<NamespaceType, string>> = {
  ...{ pid: "pid", network: "net", mount: "mnt", ipc: "ipc", uts: "uts", user: "user", cgroup: "cgroup", time: "time" },
};

/** Types that criu takes by descriptor, with the first version that does. */
const byDescriptor: Partial<Record<NamespaceType, number>> = { network: 31_100, pid: 31_500 };

/** A namespace by its path. */
type Given = Namespace & { readonly path: string };

function given({ linux }: Spec): Given[] {
  return (linux?.namespaces ?? []).filter((namespace): namespace is Given => Boolean(namespace.path));
}

/** What the namespace is called at the dump, and at the restoration again. */
function keyOf(type: NamespaceType): string {
  const name = names[type];
  return `extRoot${name[0]!.toUpperCase()}${name.slice(1)}NS`;
}

function refuseOld(type: NamespaceType, version: number): void {
  if (version >= byDescriptor[type]!) return;
  throw new Failure("FailedPrecondition", `criu lacks support for external ${names[type]} namespaces: it is too old`);
}

/** The words for a dump. `inode` gives that of a path. */
export function externalNamespaces(spec: Spec, version: number, inode: (path: string) => number): string[] {
  return given(spec).filter(({ type }) => type in byDescriptor).map(({ type, path }) => {
    refuseOld(type, version);
    return `${names[type]}[${inode(path)}]:${keyOf(type)}`;
  });
}

/** What a restoration needs of the spec's namespaces. */
export interface RestoredNamespaces {
  /** To be opened, and given to criu under their keys. */
  readonly opened: readonly { readonly key: string; readonly path: string }[];
  /** Those that it joins by their paths. */
  readonly joined: readonly { readonly type: string; readonly path: string }[];
}

/** Throws `NotImplemented` for a type that criu does not know. */
export function restoredNamespaces(spec: Spec, version: number): RestoredNamespaces {
  const all = given(spec);
  if (all.some(({ type }) => type === "cgroup")) {
    throw new Failure("NotImplemented", "criu cannot restore a container into a cgroup namespace by path");
  }
  const opened = all.filter(({ type }) => type in byDescriptor);
  for (const { type } of opened) refuseOld(type, version);
  return {
    opened: opened.map(({ type, path }) => ({ key: keyOf(type), path })),
    joined: all.filter(({ type }) => !(type in byDescriptor)).map(({ type, path }) => ({ type: names[type], path })),
  };
}
