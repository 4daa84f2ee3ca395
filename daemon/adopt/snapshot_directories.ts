/**
 * Which directory a snapshot of a stock containerd has: its mounts tell.
 *
 * @module
 */
import { splitLowers } from "../../ffi/lower_directories.ts";
import type { Mount } from "../../api/gen/types/mount.ts";
import type { Adoptable } from "../snapshots/directory_number.ts";

/** Numbers of directories that mounts name: of the snapshot itself, and of those below it, the nearest first. */
export interface MountedDirectories {
  readonly own?: number;
  readonly parents: readonly number[];
}

/** Reads the mounts of a snapshot. `directory` is the snapshotter's. Paths elsewhere name nothing. */
export function directoriesOf(
  snapshotter: Adoptable,
  directory: string,
  kind: "active" | "view",
  [mount]: readonly Mount[],
): MountedDirectories {
  if (mount === undefined) return { parents: [] };
  const numberOf = (path: string | undefined, below: string): number | undefined => {
    const prefix = `${directory}/snapshots/`;
    if (path?.startsWith(prefix) !== true || !path.endsWith(below)) return undefined;
    const name = path.slice(prefix.length, path.length - below.length);
    return /^[1-9]\d{0,11}$/.test(name) ? Number(name) : undefined;
  };
  if (snapshotter === "native") {
    // A view is the directory of what it stands on.
    return found(kind, numberOf(mount.source, ""));
  }
  if (mount.type !== "overlay") {
    // A view of one layer is that layer itself.
    return found(kind, numberOf(mount.source, "/fs"));
  }
  const option = (name: string) => mount.options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  const own = numberOf(option("upperdir"), "/fs");
  const parents = splitLowers(option("lowerdir") ?? "").map((path) => numberOf(path, "/fs"));
  const readable = parents.filter((number) => number !== undefined);
  return { ...(own === undefined ? {} : { own }), parents: readable.length === parents.length ? readable : [] };
}

function found(kind: "active" | "view", number: number | undefined): MountedDirectories {
  if (number === undefined) return { parents: [] };
  return kind === "view" ? { parents: [number] } : { own: number, parents: [] };
}
