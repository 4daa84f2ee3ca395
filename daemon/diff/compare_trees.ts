/**
 * Which directories a comparison of two lists of mounts has to look at, and what must be mounted for it.
 *
 * @module
 */
import { joinLowers, splitLowers } from "../../ffi/lower_directories.ts";
import { overlayOption } from "../mounts/mount_options.ts";
import type { MountPart } from "../mounts/perform.ts";

/** A tree to walk: a directory as it is, or mounts; undefined for an empty one. */
export type Tree = { readonly directory: string } | { readonly mounts: readonly MountPart[] } | undefined;

/** How two trees are compared: by walking both, or by the one layer that makes the difference. */
export type TreePlan =
  | { readonly kind: "both"; readonly lower: Tree; readonly upper: Tree }
  | { readonly kind: "upper"; readonly lowers: readonly string[]; readonly upper: string };

/** The plan for comparing these mounts; `shortCut` says whether a layer alone may be looked at. */
export function planTrees(lower: readonly MountPart[], upper: readonly MountPart[], shortCut = true): TreePlan {
  const [nearest, ...below] = overlayLayers(upper) ?? [];
  const others = overlayLayers(lower);
  // One lower layer alone is not an overlay: what the kernel shows of it is not what it shows through an overlay.
  if (shortCut && nearest !== undefined && others !== undefined && below.join(":") === others.join(":")) {
    return { kind: "upper", lowers: others, upper: nearest };
  }
  return { kind: "both", lower: treeOf(readOnly(lower)), upper: treeOf(readOnly(upper)) };
}

/** Options with which the layers' directories alone do not tell what the kernel shows. */
const meaningful = /^(?:userxattr|metacopy=on|redirect_dir=(?:on|follow)|lowerdir\+|datadir\+)/;

/** The layers of an overlay mount, nearest first; undefined for other mounts, and where options change their meaning. */
function overlayLayers(mounts: readonly MountPart[]): string[] | undefined {
  const [mount, ...rest] = mounts;
  if (mount?.type !== "overlay" || rest.length > 0 || mount.target !== "") return undefined;
  const lower = overlayOption(mount.options, "lowerdir");
  const lowers = lower === undefined ? [] : splitLowers(lower);
  // "::" is for layers of data only.
  const strange = lowers.some((dir) => !dir.startsWith("/"));
  if (lowers.length === 0 || strange || mount.options.some((option) => meaningful.test(option))) return undefined;
  const upper = overlayOption(mount.options, "upperdir");
  return upper === undefined ? lowers : [upper, ...lowers];
}

const plainBindOptions = new Set(["bind", "rbind", "ro", "rw"]);

function treeOf(mounts: readonly MountPart[]): Tree {
  const [mount, ...rest] = mounts;
  if (mount === undefined) return undefined;
  const isPlain = mount.type === "bind" && mount.target === "" && rest.length === 0 &&
    mount.options.every((option) => plainBindOptions.has(option));
  return isPlain ? { directory: mount.source } : { mounts };
}

/**
 * The mounts as nobody can write through them: an overlay's upper directory becomes its nearest lower one, so that a
 * container may go on using it, and bind mounts are read-only.
 */
export function readOnly(mounts: readonly MountPart[]): MountPart[] {
  return mounts.map((mount) => {
    const options = mount.options.filter((option) => option !== "rw" && option !== "ro");
    if (mount.type !== "overlay") return { ...mount, options: [...options, "ro"] };
    const upper = overlayOption(options, "upperdir");
    if (upper === undefined) return { ...mount, options: [...options, "ro"] };
    const others = options.filter((option) => !/^(?:upperdir|workdir|lowerdir)=/.test(option));
    return {
      ...mount,
      options: [...others, `lowerdir=${joinLowers([upper])}:${overlayOption(options, "lowerdir") ?? ""}`, "ro"],
    };
  });
}
