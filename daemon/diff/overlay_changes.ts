/**
 * What changed between an overlay and the layers below its first one, from that first layer alone: the result is that
 * of walking both merged trees, without looking at what nobody has touched.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { type FileStatus, listDirectory, openBeneath, statAtIfThere } from "../../ffi/files.ts";
import { getXattrAt } from "../../ffi/xattr.ts";
import { type Change, isDirectory, isSameFile, sortNames } from "./changes.ts";
import type { Place } from "./copy_up.ts";
import { isOpaque, isWhiteout } from "./lower_layers.ts";
import { opaqueXattr } from "./whiteout.ts";

/** Thrown where the layer has marks whose meaning needs the kernel: both trees must be walked then. */
export class NeedsBothTrees extends Error {}

const directoryFlags = flags("O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW");

interface Frame {
  readonly path: string;
  readonly upper: Descriptor;
  /** The directories that the lower layers show merged under this path, nearest first. */
  readonly lowers: readonly Descriptor[];
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
  /** Of a directory: the layers' directories, nearest first, as numbers of {@link Frame.lowers}. */
  readonly layers: readonly number[];
}

/**
 * The changes that the layer `upper` makes to what `lowers` (nearest first) show. Throws {@link NeedsBothTrees} at the
 * first mark that it cannot judge, {@link SyscallError}.
 */
export function* walkUpper(lowers: readonly string[], upper: string): Generator<Change> {
  const open = (path: string) => openFile(path, flags("O_RDONLY", "O_DIRECTORY"));
  const frames: Frame[] = [];
  try {
    frames.push(frameOf("", open(upper), lowers.map(open), false));
    for (let frame; (frame = frames.at(-1)) !== undefined;) {
      const name = frame.names[frame.next++];
      if (name === undefined) {
        closeFrame(frames.pop()!);
        continue;
      }
      const below = yield* changesOf(frame, name);
      if (below !== undefined) frames.push(below);
    }
  } finally {
    for (const frame of frames) closeFrame(frame);
  }
}

function closeFrame({ upper, lowers }: Frame): void {
  upper.close();
  for (const lower of lowers) lower.close();
}

function frameOf(path: string, upper: Descriptor, lowers: readonly Descriptor[], inherited: boolean): Frame {
  const mark = getXattrAt(upper.number, "", opaqueXattr);
  // "x": files with an attribute are whiteouts here (Linux 6.7).
  if (mark?.length === 1 && mark[0] === 0x78) throw new NeedsBothTrees();
  const opaque = inherited || isOpaque(upper.number, "");
  const upperNames = new Set(listDirectory(upper.number));
  const hidden = opaque ? new Set(lowers.flatMap((lower) => listDirectory(lower.number))) : new Set<string>();
  return { path, upper, lowers, opaque, upperNames, names: sortNames([...upperNames.union(hidden)]), next: 0 };
}

function* changesOf(frame: Frame, name: string): Generator<Change, Frame | undefined> {
  const path = frame.path === "" ? name : `${frame.path}/${name}`;
  const place = { dir: frame.upper.number, name };
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
  if (!isDirectory(status)) return undefined;
  const below = (shown?.layers ?? []).map((layer) => openDirectory(frame.lowers[layer]!.number, name));
  return frameOf(path, openDirectory(place.dir, name), below, frame.opaque);
}

function openDirectory(dir: number, name: string): Descriptor {
  return new Descriptor(openBeneath(dir, name, directoryFlags));
}

/** Overlayfs can keep a directory's or a file's contents elsewhere. */
function refuseMarks({ dir, name }: Place, status: FileStatus): void {
  const isHollow = status.size > 0 && status.blocks === 0;
  const mark = isDirectory(status) ? "redirect" : isHollow ? "metacopy" : undefined;
  if (mark !== undefined && getXattrAt(dir, name, `trusted.overlay.${mark}`) !== undefined) throw new NeedsBothTrees();
}

function lookup(lowers: readonly Descriptor[], name: string): Shown | undefined {
  const layers: number[] = [];
  let first: { place: Place; status: FileStatus } | undefined;
  for (const [index, { number: dir }] of lowers.entries()) {
    const status = statAtIfThere(dir, name);
    if (status === undefined) continue;
    if (isWhiteout(status)) break;
    refuseMarks({ dir, name }, status);
    if (!isDirectory(status)) {
      first ??= { place: { dir, name }, status };
      break;
    }
    first ??= { place: { dir, name }, status };
    layers.push(index);
    if (isOpaque(dir, name)) break;
  }
  return first === undefined ? undefined : { ...first, layers };
}
