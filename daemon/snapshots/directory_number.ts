/**
 * The directory of a snapshot, by its id.
 *
 * Our own ids are positive and unique among all snapshotters; the directory has the id for its name. A stock containerd
 * counts for each snapshotter on its own. A snapshot that was adopted keeps its directory, and has a negative id: the
 * snapshotter's place in {@link adoptable} and the directory's number.
 *
 * @module
 */

/** Numbers of directories are below. */
const numbersMax = 1e12;

/** Snapshotters whose directories are as a stock containerd's; new ones come at the end, as ids are kept. */
export const adoptable = ["overlayfs", "native"] as const;

/** A snapshotter from which snapshots can be adopted. */
export type Adoptable = (typeof adoptable)[number];

/** The id of a snapshot whose directory a stock containerd has made. Throws `RangeError` for a number that is none. */
export function adoptedId(snapshotter: Adoptable, number: number): number {
  if (!Number.isSafeInteger(number) || number < 1 || number >= numbersMax) throw new RangeError(`directory ${number}`);
  return -((adoptable.indexOf(snapshotter) + 1) * numbersMax + number);
}

/** The number that the directory of a snapshot has for its name. */
export function directoryNumber(id: number): number {
  return id >= 0 ? id : -id % numbersMax;
}
