/**
 * The trash: where files and trees go in the transaction that deletes their row, and where they are removed from later.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import type { Undo } from "./database.ts";
import { removeTree } from "./remove_tree.ts";

/** How the names of entries begin that could not be removed. */
const stuckPrefix = "stuck-";

/** Told about what could not be removed, in one sentence. */
export type TellStuck = (sentence: string) => void;

/** Options of {@link Trash}. */
export interface TrashOptions {
  /** Called for each tree before it is removed; need not leave anything of it. */
  readonly discard?: ((place: string) => Promise<void>) | undefined;
  /** See `RemoveTreeOptions`. */
  readonly here?: boolean;
  /** Default: a warning on the standard error stream, as of a command. */
  readonly tell?: TellStuck;
}

/**
 * A directory on the same file system as everything that is thrown into it.
 *
 * What cannot be removed is nobody's error, as nothing refers to it any more: it is set aside here under another name, and
 * told. {@link empty} tries it again where it is asked to.
 */
export class Trash {
  /** The removals that nobody waits for, one after another: an entry is a path, and the disk is the limit. */
  #background: Promise<void> = Promise.resolve();
  readonly #discard: TrashOptions["discard"];
  readonly #here: boolean;
  /** See {@link TrashOptions}. */
  tell: TellStuck;

  constructor(readonly directory: string, { discard, here = false, tell = warn }: TrashOptions = {}) {
    this.#discard = discard;
    this.#here = here;
    this.tell = tell;
  }

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

  /** As {@link take} of what no row is about any more: what cannot be moved here stays where it is, and is told. */
  takeOrphan(path: string, undo: Undo = []): string | undefined {
    try {
      return this.take(path, undo);
    } catch (error) {
      this.tell(`cannot throw away "${path}": ${isBusy(error) ? mounted : messageOf(error)}`);
      return undefined;
    }
  }

  /** Removes what {@link take} gave, after the transaction. */
  async remove(place: string | undefined): Promise<void> {
    if (place === undefined) return;
    try {
      await this.#discard?.(place);
      await removeTree(place, { here: this.#here });
    } catch (error) {
      this.#setAside(place, error);
    }
  }

  #setAside(place: string, error: unknown): void {
    const name = place.slice(this.directory.length + 1);
    let kept = place;
    if (!name.startsWith(stuckPrefix)) {
      kept = `${this.directory}/${stuckPrefix}${name}`;
      try {
        Deno.renameSync(place, kept);
      } catch {
        // It is a mount point itself: it is told under the name that it has.
        kept = place;
      }
    }
    this.tell(`cannot remove "${place}": ${messageOf(error)}; what is left of it is kept as "${kept}"`);
  }

  /** As {@link remove}, in the background. */
  removeLater(place: string | undefined): void {
    if (place === undefined) return;
    this.#background = this.#background.then(() => this.remove(place));
  }

  /** Waits for all removals in the background until now. */
  async settled(): Promise<void> {
    await this.#background;
  }

  /**
   * Removes what lies here, also what processes left that ended before they could. Several may do so at once. What was set
   * aside stays, unless it is to be tried `again`.
   */
  async empty({ again = false } = {}): Promise<void> {
    for (const { name } of Deno.readDirSync(this.directory)) {
      if (again || !name.startsWith(stuckPrefix)) await this.remove(`${this.directory}/${name}`);
    }
  }
}

const mounted = "it is a mount point: unmount it first";

function isBusy(error: unknown): boolean {
  return error instanceof Deno.errors.Busy || (error instanceof Error && "code" in error && error.code === "EBUSY");
}

function warn(sentence: string): void {
  console.error(`warning: ${sentence}`);
}
