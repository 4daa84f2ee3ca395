/**
 * The trash: where files and trees go in the transaction that deletes their row, and where they are removed from later.
 *
 * @module
 */
import type { Undo } from "./database.ts";
import { removeTree } from "./remove_tree.ts";

/** A directory on the same file system as everything that is thrown into it. */
export class Trash {
  /** The removals that nobody waits for, one after another: an entry is a path, and the disk is the limit. */
  #background: Promise<void> = Promise.resolve();
  #failures: unknown[] = [];

  /** `discard` is called for each tree before it is removed, and need not leave anything of it. */
  constructor(readonly directory: string, private readonly discard?: (place: string) => Promise<void>) {}

  /**
   * Moves a file or tree here and gives its new path; undefined where there is none. Where the transaction with this
   * `undo` fails, it is moved back. By `prefix`, which its name begins with, others can do so whose process was killed.
   */
  take(path: string, undo: Undo, prefix = ""): string | undefined {
    const place = `${this.directory}/${prefix}${crypto.randomUUID()}`;
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
    if (place === undefined) return;
    await this.discard?.(place);
    await removeTree(place);
  }

  /**
   * As {@link remove}, in the background. What fails stays here for the next process that empties the trash, and the
   * reason for {@link settled}.
   */
  removeLater(place: string | undefined): void {
    if (place === undefined) return;
    this.#background = this.#background.then(() => this.remove(place)).catch((error: unknown) => {
      // The first ones say enough, and their number is bounded.
      if (this.#failures.length < 10) this.#failures.push(error);
    });
  }

  /** Waits for all removals in the background until now. Throws the first error of those since the last time. */
  async settled(): Promise<void> {
    await this.#background;
    const [failure] = this.#failures.splice(0);
    if (failure !== undefined) throw failure;
  }

  /**
   * Removes what lies here, also what processes left that ended before they could. Several may do so at once.
   * Throws the first error after everything else was removed.
   */
  async empty(): Promise<void> {
    const errors: unknown[] = [];
    for (const { name } of Deno.readDirSync(this.directory)) {
      try {
        await this.remove(`${this.directory}/${name}`);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
