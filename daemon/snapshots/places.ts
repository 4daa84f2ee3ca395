/**
 * Which snapshotters a store has, and where each keeps its directories.
 *
 * @module
 */
import type { Objects } from "../metadata/objects.ts";
import { Trash } from "../metadata/trash.ts";
import { type DirectoryOptions, DirectorySnapshotter } from "./directory_snapshotter.ts";
import type { SnapshotForm } from "./form.ts";
import { nativeForm } from "./native_form.ts";
import { overlayForm } from "./overlay_form.ts";

/** One snapshotter of a store. */
export interface SnapshotterPlace extends DirectoryOptions {
  readonly form: SnapshotForm;
}

/** The snapshotters that every store has. */
export const usualSnapshotters: readonly SnapshotterPlace[] = [{ form: overlayForm }, { form: nativeForm }];

/** The directory of a snapshotter in a root, unless its `root_path` says otherwise. */
export function snapshotterDirectory(root: string, { form, rootPath }: SnapshotterPlace): string {
  return rootPath === undefined || rootPath === "" ? `${root}/io.containerd.snapshotter.v1.${form.name}` : rootPath;
}

/** Makes the directories of a snapshotter where they are missing. Throws what the disk throws. */
export function makeSnapshotterDirectories(root: string, place: SnapshotterPlace): void {
  const directory = snapshotterDirectory(root, place);
  for (const path of [directory, `${directory}/snapshots`, `${directory}/locks`, ...ownTrash(directory, place)]) {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  }
}

/** What is thrown away must stay on its file system, and be removed in its own way. */
function ownTrash(directory: string, { rootPath, form }: SnapshotterPlace): string[] {
  const fits = (rootPath === undefined || rootPath === "") && form.discard === undefined;
  return fits ? [] : [`${directory}/trash`];
}

/** The snapshotters of a root, as all its namespaces share them. */
export class SnapshotterPlaces {
  readonly #places: readonly { readonly place: SnapshotterPlace; readonly trash: Trash; readonly directory: string }[];

  /** `trash` is the root's. */
  constructor(root: string, readonly trash: Trash, places: readonly SnapshotterPlace[] = usualSnapshotters) {
    this.#places = places.map((place) => {
      const directory = snapshotterDirectory(root, place);
      const [own] = ownTrash(directory, place);
      return {
        place,
        directory,
        trash: own === undefined ? trash : new Trash(own, {
          discard: place.form.discard?.bind(place.form),
          tell: (sentence) => this.trash.tell(sentence),
        }),
      };
    });
  }

  /** The snapshotters as one namespace sees them, by their names. */
  of(objects: Objects): ReadonlyMap<string, DirectorySnapshotter> {
    return new Map(
      this.#places.map(({ place, trash, directory }) => [
        place.form.name,
        new DirectorySnapshotter(place.form, objects, directory, trash, { ...place, ownsTrash: trash !== this.trash }),
      ]),
    );
  }
}
