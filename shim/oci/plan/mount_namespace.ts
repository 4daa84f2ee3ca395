/**
 * Containers without a mount namespace of their own: in the host's, or in one that they join.
 *
 * In the host's the root file system is mounted over its own directory, where everybody sees it with all that is mounted
 * in it, and is changed to by chroot(2). It is private, so that nothing of it is mounted a second time below, and goes
 * when the container is deleted. The host's own root is used as it is, and nothing is mounted or made in its /dev.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { flag, type Program, type Slot } from "../../../ffi/program/program.ts";
import type { RootSource } from "./facts.ts";
import { joinNamespace, openNamespace } from "./join.ts";
import { setPropagation } from "./new_mounts.ts";
import { cleanPath } from "./paths.ts";
import { addRoot } from "./root.ts";
import { hasUserNamespace } from "./user_namespace.ts";

/** Where a container mounts. */
export type MountNamespace = "new" | "joined" | "host's";

/** Which mount namespace the container has. */
export function mountNamespaceOf({ linux }: Spec): MountNamespace {
  const namespace = linux?.namespaces?.find(({ type }) => type === "mount");
  return namespace === undefined ? "host's" : namespace.path ? "joined" : "new";
}

/** Whether the root is the host's own. */
export function isHostRoot(root: RootSource): boolean {
  return root.kind === "directory" && cleanPath(root.path) === "/";
}

/** Throws `InvalidArgument` for a spec that would mount over the host's files, or could not. */
export function checkHostMounts(spec: Spec, root: RootSource): void {
  if (mountNamespaceOf(spec) !== "host's") return;
  if (hasUserNamespace(spec)) {
    throw new Failure(
      "InvalidArgument",
      "linux.namespaces: a user namespace has no right to mount without one of mounts",
    );
  }
  if (!isHostRoot(root)) return;
  if ((spec.mounts ?? []).length > 0) {
    throw new Failure(
      "InvalidArgument",
      'mounts: they would cover the host\'s own: want a mount namespace, or another root than "/"',
    );
  }
  if (spec.root?.readonly) {
    throw new Failure("InvalidArgument", "root.readonly: the host's own would be: want a mount namespace");
  }
}

/** Joins the mount namespace of the spec. What is done by paths of the host comes before. */
export function addJoinedMounts(program: Program, { linux }: Spec): void {
  const namespace = linux?.namespaces?.find(({ type, path }) => type === "mount" && path);
  if (namespace !== undefined) joinNamespace(program, namespace, openNamespace(program, namespace));
}

/** Mounts the root in the host's namespace. */
export function addHostRoot(program: Program, source: RootSource, given: number | undefined): Slot {
  const does = "keep the mounts of the container apart from those below";
  const setPrivate = (mount: Slot | number) =>
    setPropagation(program, mount, { type: "MS_PRIVATE", recursive: true }, does);
  if (given !== undefined) setPrivate(given);
  if (isHostRoot(source)) {
    return program.result("root", {
      call: "openat",
      args: [flag("AT_FDCWD"), "/", flag("O_PATH", "O_DIRECTORY", "O_CLOEXEC"), 0],
      does: "open the host's root",
    });
  }
  if (source.kind === "directory" && given === undefined) return addRoot(program, source, undefined, setPrivate);
  const root = addRoot(program, source, given);
  if (given === undefined) setPrivate(root);
  return root;
}

/** Makes the root that of the process alone. */
export function addChroot(program: Program, root: Slot): void {
  const does = "change over to the root file system";
  program.add({ call: "fchdir", args: [root], does });
  program.add({ call: "chroot", args: ["."], does });
  program.add({ call: "chdir", args: ["/"], does });
}
