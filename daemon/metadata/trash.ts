/**
 * The trash: where files and trees go in the transaction that deletes their row, and where they are removed from later.
 *
 * @module
 */
import type { Undo } from "./database.ts";
import { removeTree } from "./remove_tree.ts";

/** A directory on the same file system as everything that is thrown into it. */
export class Trash {
  constructor(readonly directory: string) {}

  /**
   * Moves a file or tree here and gives its new path; undefined where there is none. Where the transaction with this
   * `undo` fails, it is moved back.
   */
  take(path: string, undo: Undo): string | undefined {
    const place = `${this.directory}/${crypto.randomUUID()}`;
    try {
      Deno.renameSync(path, place);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
    undo.push(() => Deno.renameSync(place, path));
    return place;
  }

  /** Removes what {@link take} gave, after the transaction. */
  async remove(place: string | undefined): Promise<void> {
    if (place !== undefined) await removeTree(place);
  }

  /**
   * Removes what lies here, also what processes left that ended before they could. Several may do so at once.
   * Throws the first error after everything else was removed.
   */
  async empty(): Promise<void> {
    const errors: unknown[] = [];
    for (const { name } of Deno.readDirSync(this.directory)) {
      try {
        await removeTree(`${this.directory}/${name}`);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
