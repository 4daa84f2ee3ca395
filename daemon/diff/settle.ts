/**
 * Finishes an overlayfs upper directory that was applied without its lower layers.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { linkAt, S_IFDIR, S_IFLNK, setTimesAt, statAt, statAtIfThere } from "../../ffi/files.ts";
import type { UnresolvedLink } from "./apply.ts";
import { layerFailure } from "./apply_failure.ts";
import { setAttributesAt } from "./attributes.ts";
import { copyAttributes, copyUp } from "./copy_up.ts";
import { LowerLayers, upperHides } from "./lower_layers.ts";
import { type Directory, joinPath, TargetTree } from "./target_tree.ts";

const typeMask = flags("S_IFMT");
const regular = flags("S_IFREG");

/** What {@link settleLayer} needs of a `LayerResult`. */
export interface Unsettled {
  readonly impliedDirs: readonly string[];
  readonly unresolvedLinks: readonly UnresolvedLink[];
}

/**
 * Does what applying had to leave, once the lower directories (nearest first) are complete:
 *
 * - a directory that had no entry of its own gets owner, mode, times and extended attributes of the directory that the
 *   lower layers show there (through a link, if they have one); it stays 0755 and root's where they show none;
 * - a hard link whose target is in a lower layer: the target is copied up and linked, so that both names share one
 *   file, and the entry's attributes are set on it. containerd refuses such layers on overlayfs and takes them on
 *   other snapshotters.
 *
 * A directory made where a lower layer has a link to a directory hides that link, as containerd's does.
 * Throws {@link Failure}: `NotFound` where a link's target is nowhere, others as applying does.
 */
export function settleLayer(upper: string, lowers: readonly string[], result: Unsettled): void {
  if (result.impliedDirs.length + result.unresolvedLinks.length === 0) return;
  const implied = new Set(result.impliedDirs);
  const events = { implied: (path: string) => void implied.add(path), obstructed: () => false };
  try {
    using tree = new TargetTree(upper, events);
    using layers = new LowerLayers(lowers);
    const links = new LinkSettler(tree, layers);
    for (const link of result.unresolvedLinks) links.settle(link);
    for (const path of implied) settleDirectory(tree, layers, path);
  } catch (error) {
    throw layerFailure(error, "settling the layer in", upper);
  }
}

function settleDirectory(tree: TargetTree, layers: LowerLayers, path: string): void {
  tree.trim();
  const parts = path.split("/");
  if (upperHides(tree.root.fd, parts)) return;
  const shown = layers.find(parts, true);
  if (shown === undefined) return;
  using parent = shown.parent;
  if ((shown.status.mode & typeMask) !== S_IFDIR) return;
  const name = parts.pop()!;
  const holder = tree.find(parts).directory;
  if (holder === undefined) return;
  try {
    copyAttributes({ dir: parent.number, name: shown.name }, shown.status, { dir: holder.fd, name });
  } catch (error) {
    throw layerFailure(error, "settling the directory", path);
  }
}

/** Makes the links of one layer, in the order of its archive. */
class LinkSettler {
  readonly #tree: TargetTree;
  readonly #layers: LowerLayers;
  /** Where the file of a target is in the upper directory, once it has been copied there. */
  readonly #copies = new Map<string, string>();

  constructor(tree: TargetTree, layers: LowerLayers) {
    this.#tree = tree;
    this.#layers = layers;
  }

  settle(link: UnresolvedLink): void {
    this.#tree.trim();
    const { directory, name } = this.#find(link.path);
    // The link's directory has been replaced by a later entry, and the link with it.
    if (directory === undefined) return;
    try {
      const before = statAt(directory.fd, "");
      const copy = this.#copies.get(link.target);
      if (copy !== undefined) this.#link(copy, directory, name);
      else this.#copyAndLink(link, directory, name);
      this.#copies.set(link.path, link.path);
      this.#setAttributes(link, directory, name);
      // The directory's own times are the entry's or a lower layer's, not those of this change.
      setTimesAt(directory.fd, ".", before.atime, before.mtime);
    } catch (error) {
      throw layerFailure(error, `unpacking the hard link to "${link.target}":`, link.path);
    }
  }

  #find(path: string): { directory: Directory | undefined; name: string } {
    const parts = path.split("/");
    const name = parts.pop()!;
    const found = this.#tree.find(parts);
    return { directory: found.path === parts.join("/") ? found.directory : undefined, name };
  }

  #link(from: string, directory: Directory, name: string): void {
    const source = this.#find(from);
    if (source.directory === undefined) throw new Error(`the directory of "${from}" has gone`);
    linkAt(source.directory.fd, source.name, directory.fd, name);
  }

  #copyAndLink(link: UnresolvedLink, directory: Directory, name: string): void {
    const shown = this.#layers.find(link.target.split("/"), false);
    if (shown === undefined) {
      throw new Failure(
        "NotFound",
        `unpacking "${link.path}": hard link to "${link.target}": no layer has such a file`,
      );
    }
    using parent = shown.parent;
    const realTarget = shown.path.join("/");
    const copy = this.#copies.get(realTarget);
    if (copy !== undefined) return this.#link(copy, directory, name);
    copyUp({ dir: parent.number, name: shown.name }, shown.status, { dir: directory.fd, name });
    this.#copies.set(link.target, link.path).set(realTarget, link.path);
    this.#shareWithTarget(shown.path, directory, name);
  }

  /** Gives the copy the target's own name too, unless this layer has something else there or hides it. */
  #shareWithTarget(path: readonly string[], directory: Directory, name: string): void {
    if (upperHides(this.#tree.root.fd, path)) return;
    const parts = path.slice(0, -1);
    const targetName = path.at(-1)!;
    const there = this.#tree.find(parts);
    if (there.directory !== undefined && statAtIfThere(there.directory.fd, targetName) !== undefined) return;
    // Parents that this layer does not have yet are made, and settled after all links.
    const holder = this.#tree.make(parts);
    if (joinPath(holder.path, targetName) !== path.join("/")) return;
    const before = statAt(holder.fd, "");
    linkAt(directory.fd, name, holder.fd, targetName);
    setTimesAt(holder.fd, ".", before.atime, before.mtime);
  }

  #setAttributes(link: UnresolvedLink, directory: Directory, name: string): void {
    if (link.attributes === undefined) return;
    const type = statAt(directory.fd, name).mode & typeMask;
    const holder = type === S_IFLNK ? "symlink" : type === regular ? "file" : "special";
    // Applying has told about attributes that the file system cannot keep, for the entries that it made itself.
    setAttributesAt(directory.fd, name, link.attributes, holder, () => {});
  }
}
