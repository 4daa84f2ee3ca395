/**
 * What changed between an overlay and the layers below its first one, from that first layer alone: the result is that
 * of walking both merged trees, without looking at what nobody has touched.
 *
 * @module
 */
import type { DirectoryChain } from "../../ffi/directory_chain.ts";
import { type FileStatus, listDirectory, statAtIfThere } from "../../ffi/files.ts";
import { getXattrAt } from "../../ffi/xattr.ts";
import { type Change, enterUnlessMounted, isDirectory, isSameFile, openWay, pathBelow, sortNames } from "./changes.ts";
import type { Place } from "./copy_up.ts";
import { isOpaque, isWhiteout } from "./lower_layers.ts";
import { opaqueXattr } from "./whiteout.ts";

/** Thrown where the layer has marks whose meaning needs the kernel: both trees must be walked then. */
export class NeedsBothTrees extends Error {}

/** Directories that are open at once in all layers together; each layer has one at least. */
const openMax = 512;

interface Frame {
  readonly path: string;
  /** The ways to the directories that the lower layers show merged under this path, nearest first. */
  readonly lowers: readonly DirectoryChain[];
  /** Nothing of the lower layers is seen here through the upper one. */
  readonly opaque: boolean;
  readonly upperNames: ReadonlySet<string>;
  readonly names: readonly string[];
  next: number;
}

/** What the lower layers show under a name. */
interface Shown {
  readonly place: Place;
  readonly status: FileStatus;
  /** Of a directory: the ways down the layers that have it, nearest first. */
  readonly layers: readonly DirectoryChain[];
}

/**
 * The changes that the layer `upper` makes to what `lowers` (nearest first) show. Throws {@link NeedsBothTrees} at the
 * first mark that it cannot judge, {@link SyscallError}.
 */
export function* walkUpper(lowers: readonly string[], upper: string): Generator<Change> {
  using opened = new DisposableStack();
  const openEach = Math.max(2, Math.floor(openMax / (lowers.length + 1)));
  const way = opened.use(openWay(upper, openEach));
  const frames = [frameOf("", way, lowers.map((path) => opened.use(openWay(path, openEach))), false)];
  for (let frame; (frame = frames.at(-1)) !== undefined;) {
    const name = frame.names[frame.next++];
    if (name !== undefined) {
      const below = yield* changesOf(frame, way, name);
      if (below !== undefined) frames.push(below);
      continue;
    }
    frames.pop();
    if (frames.length === 0) return;
    for (const chain of [way, ...frame.lowers]) chain.leave();
  }
}

function frameOf(path: string, { fd }: DirectoryChain, lowers: readonly DirectoryChain[], inherited: boolean): Frame {
  const mark = getXattrAt(fd, "", opaqueXattr);
  // "x": files with an attribute are whiteouts here (Linux 6.7).
  if (mark?.length === 1 && mark[0] === 0x78) throw new NeedsBothTrees();
  const opaque = inherited || isOpaque(fd, "");
  const upperNames = new Set(listDirectory(fd));
  const hidden = opaque ? new Set(lowers.flatMap((lower) => listDirectory(lower.fd))) : new Set<string>();
  return { path, lowers, opaque, upperNames, names: sortNames([...upperNames.union(hidden)]), next: 0 };
}

function* changesOf(frame: Frame, way: DirectoryChain, name: string): Generator<Change, Frame | undefined> {
  const path = pathBelow(frame.path, name);
  const place = { dir: way.fd, name };
  const status = frame.upperNames.has(name) ? statAtIfThere(place.dir, name) : undefined;
  const shown = lookup(frame.lowers, name);
  if (status === undefined || isWhiteout(status)) {
    if (shown !== undefined) yield { kind: "deleted", path };
    return undefined;
  }
  refuseMarks(place, status);
  if (shown === undefined) yield { kind: "added", path, place, status };
  else if (!isSameFile(shown.place, shown.status, place, status)) yield { kind: "modified", path, place, status };
  else if (!isDirectory(status) && status.links > 1) yield { kind: "unmodified", path, place, status };
  if (!isDirectory(status) || !enterUnlessMounted(way, name)) return undefined;
  return frameOf(path, way, (shown?.layers ?? []).filter((layer) => enterUnlessMounted(layer, name)), frame.opaque);
}

/** Overlayfs can keep a directory's or a file's contents elsewhere. */
function refuseMarks({ dir, name }: Place, status: FileStatus): void {
  const isHollow = status.size > 0 && status.blocks === 0;
  const mark = isDirectory(status) ? "redirect" : isHollow ? "metacopy" : undefined;
  if (mark !== undefined && getXattrAt(dir, name, `trusted.overlay.${mark}`) !== undefined) throw new NeedsBothTrees();
}

function lookup(lowers: readonly DirectoryChain[], name: string): Shown | undefined {
  const layers: DirectoryChain[] = [];
  let first: { place: Place; status: FileStatus } | undefined;
  for (const layer of lowers) {
    const dir = layer.fd;
    const status = statAtIfThere(dir, name);
    if (status === undefined) continue;
    if (isWhiteout(status)) break;
    refuseMarks({ dir, name }, status);
    if (!isDirectory(status)) {
      first ??= { place: { dir, name }, status };
      break;
    }
    first ??= { place: { dir, name }, status };
    layers.push(layer);
    if (isOpaque(dir, name)) break;
  }
  return first === undefined ? undefined : { ...first, layers };
}
