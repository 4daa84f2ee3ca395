/**
 * Which snapshotters can work here, and why others cannot.
 *
 * @module
 */
import { mountOf } from "./mount_of.ts";
import { overlayProblem } from "./overlay_probe.ts";

/** Snapshotters that containerd has. */
export type KnownSnapshotter = "overlayfs" | "native" | "btrfs" | "zfs" | "devmapper" | "blockfile" | "erofs";

/** Why each snapshotter cannot work in a directory, in containerd's words; undefined where it can. */
const checks: Readonly<
  Record<KnownSnapshotter, (directory: string) => Promise<string | undefined> | string | undefined>
> = {
  overlayfs: async (directory) => {
    const problem = await overlayProblem(directory);
    return problem === undefined
      ? undefined
      : `path ${directory} cannot be used with the overlayfs snapshotter: ${problem}`;
  },
  native: () => undefined,
  btrfs: (directory) => {
    const type = mountOf(directory)?.type ?? "unknown";
    if (type === "btrfs") return undefined;
    return `path ${directory} (${type}) must be a btrfs filesystem to be used with the btrfs snapshotter`;
  },
  zfs: (directory) => {
    if (mountOf(directory)?.type === "zfs") return "the zfs snapshotter is not part of barge";
    return `path ${directory} must be a zfs filesystem to be used with the zfs snapshotter`;
  },
  devmapper: () => "devmapper not configured",
  blockfile: () => "no scratch file generator",
  erofs: () => "the erofs snapshotter is not part of barge",
};

/**
 * Why the snapshotter of that name cannot work in a directory, which is absolute and without symbolic links; undefined
 * where it can. Nothing is left in the directory. Asking about overlayfs wants it to exist, and makes a small overlay.
 */
export async function reasonAgainst(name: KnownSnapshotter, directory: string): Promise<string | undefined> {
  return await checks[name](directory);
}
