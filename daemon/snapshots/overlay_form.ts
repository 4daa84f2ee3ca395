/**
 * Snapshots as layers of the kernel's overlay file system; paths and mounts are containerd's.
 *
 * @module
 */
import { joinLowers } from "../../ffi/lower_directories.ts";
import { Failure } from "../../api/errors.ts";
import type { SnapshotForm } from "./form.ts";
import { bindMount } from "./form.ts";
import { idMappingOf, kernelMapsLayers } from "./id_mapping.ts";
import { isThere } from "../../ffi/is_there.ts";

/** Options of {@link makeOverlayForm}: the settings of containerd's overlayfs plugin. */
export interface OverlayOptions {
  /** Options for every overlay mount, which win against the default ones. Default: none. */
  readonly mountOptions?: readonly string[];
  /** Whether each snapshot shows its directory in a label. Default: no. */
  readonly upperdirLabel?: boolean;
  /** Whether the client changes the owners of files itself where the kernel cannot map ids. Default: no. */
  readonly slowChown?: boolean;
  /** Whether the kernel can map ids. Default: what it says. */
  readonly mapsIds?: boolean;
}

/** The label that {@link OverlayOptions.upperdirLabel} is about. */
export const upperdirLabel = "containerd.io/snapshot/overlay.upperdir";

/** Options that every overlay mount gets: the configured ones, and what the kernel and the user namespace want. */
function completeOptions(configured: readonly string[]): string[] {
  const options = [...configured];
  if (!options.includes("userxattr") && inUserNamespace()) options.push("userxattr");
  // With an index, lower directories that were used by another overlay before are refused.
  const setsIndex = options.some((option) => option.startsWith("index="));
  if (!setsIndex && isThere("/sys/module/overlay/parameters/index")) options.push("index=off");
  return options;
}

function inUserNamespace(): boolean {
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));
  } catch (error) {
    // A kernel without user namespaces.
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A directory holds `fs`, the upper or a lower layer, and `work` while it is active. */
export function makeOverlayForm(options: OverlayOptions = {}): SnapshotForm {
  let mountOptions: readonly string[] | undefined;
  const mapsIds = () => options.mapsIds ?? kernelMapsLayers();
  return {
    name: "overlayfs",
    layers: "overlay",
    rebases: true,
    viewsAreParents: true,
    mountName: "active mount",

    files: (directory) => `${directory}/fs`,

    fill({ directory, kind, parents: [parent], labels }) {
      const mapping = idMappingOf(labels);
      if (mapping !== undefined && !mapsIds() && options.slowChown !== true) {
        throw new Failure(
          "FailedPrecondition",
          "snapshotter overlayfs cannot map users: this needs Linux 5.19 or later, or slow_chown in its configuration",
        );
      }
      const fs = `${directory}/fs`;
      Deno.mkdirSync(fs);
      // Not by mkdir's mode: the umask would decide who may enter the container's root.
      Deno.chmodSync(fs, 0o755);
      const owner = mapping?.root ?? (parent === undefined ? undefined : ownerOf(`${parent}/fs`));
      if (owner !== undefined && (owner.uid !== 0 || owner.gid !== 0)) Deno.chownSync(fs, owner.uid, owner.gid);
      if (kind === "active") Deno.mkdirSync(`${directory}/work`, { mode: 0o711 });
    },

    mounts({ directory, kind, parents, labels }) {
      const mapping = mapsIds() ? idMappingOf(labels) : undefined;
      const mapped = mapping === undefined ? [] : [`uidmap=${mapping.uidmap}`, `gidmap=${mapping.gidmap}`];
      const bind = (source: string, access: "ro" | "rw") => {
        const mount = bindMount(source, access, "access first");
        return [{ ...mount, options: [...mapped, ...mount.options] }];
      };
      const [nearest] = parents;
      if (nearest === undefined) return bind(`${directory}/fs`, kind === "active" ? "rw" : "ro");
      if (kind === "view" && parents.length === 1) return bind(`${nearest}/fs`, "ro");
      const writable = kind === "active" ? [`workdir=${directory}/work`, `upperdir=${directory}/fs`] : [];
      const lower = `lowerdir=${joinLowers(parents.map((parent) => `${parent}/fs`))}`;
      mountOptions ??= completeOptions(options.mountOptions ?? []);
      return [{ type: "overlay", source: "overlay", options: [...mapped, ...writable, lower, ...mountOptions] }];
    },

    ...(options.upperdirLabel === true
      ? { labels: (directory: string) => ({ [upperdirLabel]: `${directory}/fs` }) }
      : {}),
  };
}

function ownerOf(path: string): { uid: number; gid: number } {
  const { uid, gid } = Deno.statSync(path);
  // Linux has both.
  return { uid: uid!, gid: gid! };
}

/** The form without settings. */
export const overlayForm: SnapshotForm = makeOverlayForm();
