/**
 * Steps that make a root file system as a detached mount, in a process that has a mount namespace of its own and the
 * runtime's rights.
 *
 * @module
 */
import { constant } from "../../../ffi/constants.ts";
import { flag, type Program, type Slot, words } from "../../../ffi/program/program.ts";
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import type { RootSource } from "./facts.ts";
import { addOverlay, cloneTree } from "./root.ts";
import { hasUserNamespace } from "./user_namespace.ts";
import { addHostPropagation } from "./propagation.ts";

/**
 * Whether the root has to be made before the container's process, which then gets it: the root of a user namespace may
 * neither map ids in a mount that is not its own nor enter the layers' directories and write their attributes.
 */
export function needsDetachedRoot(spec: Spec, root: RootSource): boolean {
  return root.idMaps !== undefined || (root.kind === "overlay" && hasUserNamespace(spec));
}

/** The steps; `namespace` is a descriptor of a user namespace with the root's maps, where it has some. */
export function addDetachedRoot(program: Program, root: RootSource, namespace: number | undefined): Slot {
  addHostPropagation(program, "MS_SLAVE");
  if (root.kind === "directory") {
    const does = `mount the root file system "${root.path}"`;
    const mount = cloneTree(program, "detached", root.path, does);
    if (namespace !== undefined) mapIds(program, mount, namespace, does);
    return mount;
  }
  program.add({ call: "chdir", args: [root.base], does: `enter "${root.base}"` });
  if (namespace !== undefined) root.lower.forEach((layer, index) => addMappedLayer(program, layer, index, namespace));
  const overlay = addOverlay(program, root);
  return program.result("detached", {
    call: "open_tree",
    args: [overlay, "", flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_EMPTY_PATH")],
    does: "take the overlay",
  });
}

/** Covers the layer with a mount of itself in which ids are mapped: the overlay finds that under the layer's name. */
function addMappedLayer(program: Program, layer: string, index: number, namespace: number): void {
  const does = `map the ids of the layer "${layer}"`;
  const mount = cloneTree(program, `layer${index}`, layer, does);
  mapIds(program, mount, namespace, does);
  const onto = [flag("AT_FDCWD"), layer, flag("MOVE_MOUNT_F_EMPTY_PATH")];
  program.add({ call: "move_mount", args: [mount, "", ...onto], does });
  // Hundreds of them may be more than there are descriptors.
  program.add({ call: "close", args: [mount], does });
}

/** mount_setattr(2); struct mount_attr: attr_set, attr_clr, propagation, userns_fd. */
function mapIds(program: Program, mount: Slot, namespace: number, does: string): void {
  program.add({
    call: "mount_setattr",
    args: [
      mount,
      "",
      flag("AT_EMPTY_PATH", "AT_RECURSIVE"),
      words([constant("MOUNT_ATTR_IDMAP"), 0, 0, namespace], "{set=MOUNT_ATTR_IDMAP}"),
      32,
    ],
    does,
    errors: { EINVAL: `${does}: its file system does not know mapped ids` },
  });
}
