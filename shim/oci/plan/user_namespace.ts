/**
 * Steps for a container with another user namespace than the runtime's.
 *
 * Until its maps are written, or while it still has its user from outside, the new process is the host's root to the file
 * system, and has every capability in its own namespaces: that is when everything is opened which only the host's root may
 * reach. Afterwards it becomes the namespace's root, whose files the container's are to be.
 *
 * @module
 */
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { flag, type Program, room, type Slot } from "../../../ffi/program/program.ts";
import { broughtSource, mountTarget } from "./brought_source.ts";
import type { Facts } from "./facts.ts";
import { parseMountOptions } from "./mount_options.ts";
import type { Paths } from "./paths.ts";
import type { Stops } from "./stops.ts";

/** Whether the container has another user namespace than the runtime. */
export function hasUserNamespace({ linux }: Spec): boolean {
  return linux?.namespaces?.some(({ type }) => type === "user") ?? false;
}

/**
 * Waits for the maps of the user namespace. An ordinary user can write them only while the process shows what it is; its
 * memory has nothing of the runtime's any more.
 */
export function addIdMaps(program: Program, stops: Stops, { isOrdinaryUser }: Pick<Facts, "isOrdinaryUser">): void {
  const show = (yes: number, does: string) =>
    program.add({ call: "prctl", args: [flag("PR_SET_DUMPABLE"), yes, 0, 0, 0], does });
  if (isOrdinaryUser) show(1, "let the runtime's user write the maps of the user namespace");
  stops.add({ kind: "id maps" }, "the maps of the user namespace");
  if (isOrdinaryUser) show(0, "hide the child's memory from other processes");
}

/** Becomes the root of the user namespace, with no other groups. */
export function addNamespaceRoot(program: Program): void {
  const does = "become the root of the user namespace";
  program.add({ call: "setgroups", args: [0, room(8, "[]")], does, allow: ["EPERM"] });
  program.add({ call: "setresgid", args: [0, 0, 0], does });
  program.add({ call: "setresuid", args: [0, 0, 0], does });
}

/**
 * Opens the sources of bind mounts: directories on the way to them may be closed to the namespace's root. Gives them by
 * path and depth.
 */
export function openSources(
  paths: Paths,
  spec: Spec,
  facts: Pick<Facts, "bundle" | "idMapped" | "sources" | "root" | "destinations">,
): Map<string, Slot> {
  const { bundle, idMapped = [] } = facts;
  const opened = new Map<string, Slot>();
  const mounts = spec.mounts ?? [];
  const targets = mounts.map((mount) => mountTarget(mount, facts));
  for (const [index, { source, destination, options }] of mounts.entries()) {
    const { bind, recursiveBind } = parseMountOptions(options ?? []);
    if (!bind || !source) continue;
    const path = source.startsWith("/") ? source : `${bundle}/${source}`;
    if (idMapped.includes(sourceKey(path, destination))) continue;
    if (broughtSource(path, facts.root, targets.slice(0, index), facts.sources.has(path)) !== undefined) continue;
    const does = `mount "${source}" on "${destination}"`;
    opened.set(
      sourceKey(path, destination),
      paths.program.result(paths.name("source"), {
        call: "open_tree",
        args: [
          flag("AT_FDCWD"),
          path,
          recursiveBind
            ? flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_RECURSIVE")
            : flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC"),
        ],
        does,
      }),
    );
  }
  return opened;
}

/** The key of {@link openSources}: one source may be mounted several times. */
export function sourceKey(path: string, destination: string): string {
  return `${path}\0${destination}`;
}
