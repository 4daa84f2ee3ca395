/**
 * Which snapshotters can work here, and why others cannot.
 *
 * @module
 */
import { mountOf } from "./mount_of.ts";
import { overlayProblem } from "./overlay_probe.ts";

/** Whether a snapshotter can work in a directory; the reason is worded as containerd's are. */
export type Availability = { readonly available: true } | { readonly skip: string };

/** Snapshotters that containerd has. */
export type KnownSnapshotter = "overlayfs" | "native" | "btrfs" | "zfs" | "devmapper" | "blockfile" | "erofs";

/** Says for each snapshotter whether it can work in a directory, which exists. */
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
 * Whether the snapshotter of that name can work in a directory. The directory, absolute and without symbolic links, exists;
 * nothing is left in it. Asking about overlayfs makes a small overlay.
 */
export async function availability(name: KnownSnapshotter, directory: string): Promise<Availability> {
  const reason = await checks[name](directory);
  return reason === undefined ? { available: true } : { skip: `${reason}: skip plugin` };
}
