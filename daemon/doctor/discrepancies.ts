/**
 * What differs between an archive and a tree, while later entries of the archive may still explain it.
 *
 * @module
 */

/** Places that are kept in mind for one tree; they take some 100 MiB. A healthy layer has none. */
const placesMax = 100_000;

/** One thing that is not as an entry says. */
export interface Discrepancy {
  /** Path as the entry has it, cleaned. */
  readonly path: string;
  /** Path without links in parents: what a later entry may name instead. */
  readonly realPath: string;
  /** Which of the tree's layers the entry is of. */
  readonly layer: number;
  /** The rest of a sentence that begins with the path. */
  readonly problem: string;
  /** Whether something is there that the entry removes. */
  readonly isWhiteout: boolean;
}

interface Place {
  below?: Map<string, Place>;
  found?: Discrepancy | undefined;
  /** What layers before this one have below the place counts no more. */
  opaqueSince?: number;
}

/** Discrepancies by path. Entries come in the order of the archives, and what a later one replaces is forgotten. */
export class Discrepancies {
  readonly #root: Place = {};
  #places = 0;
  #isFull = false;

  /** Whether there were more than can be kept in mind: then there may be others than {@link list} gives. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Remembers one, for both of its paths. */
  add(found: Discrepancy): void {
    for (const path of new Set([found.path, found.realPath])) {
      const place = this.#make(path);
      if (place !== undefined) place.found = found;
    }
  }

  #make(path: string): Place | undefined {
    let place = this.#root;
    for (const name of path.split("/")) {
      let next = place.below?.get(name);
      if (next === undefined) {
        if (this.#places === placesMax) {
          this.#isFull = true;
          return undefined;
        }
        this.#places++;
        next = {};
        // Most have none: an empty map takes more than all the rest.
        (place.below ??= new Map()).set(name, next);
      }
      place = next;
    }
    return place;
  }

  /** An entry makes or removes this path: what was said of it counts no more, nor of what is below unless it is `kept`. */
  supersede(path: string, below: "kept" | "gone"): void {
    let place = this.#root;
    const parts = path.split("/");
    const last = parts.pop()!;
    for (const name of parts) {
      const next: Place | undefined = place.below?.get(name);
      if (next === undefined) return;
      // Something below a removed name brings it back.
      if (next.found?.isWhiteout === true) next.found = undefined;
      place = next;
    }
    const found = place.below?.get(last);
    if (found === undefined) return;
    if (below === "kept") found.found = undefined;
    else place.below?.delete(last);
  }

  /** A directory shows nothing of the layers before this one. */
  hideBelow(path: string, layer: number): void {
    let place: Place | undefined = this.#root;
    for (const name of path === "" ? [] : path.split("/")) {
      place = place.below?.get(name);
      // Nothing was said of anything below.
      if (place === undefined) return;
    }
    place.opaqueSince = layer;
  }

  /** The first ones in no order, and how many there are. */
  list(max: number): { first: Discrepancy[]; count: number } {
    const first: Discrepancy[] = [];
    let count = 0;
    const pending = [this.#root];
    for (let place; (place = pending.pop()) !== undefined;) {
      const { found } = place;
      if (found !== undefined && this.#counts(place, found)) {
        count++;
        if (first.length < max) first.push(found);
      }
      for (const next of place.below?.values() ?? []) pending.push(next);
    }
    return { first, count };
  }

  /** Whether it still holds by both of its paths; said once, at the first of them. */
  #counts(place: Place, found: Discrepancy): boolean {
    return this.#look(found.path, found.layer) === place &&
      this.#look(found.realPath, found.layer)?.found === found;
  }

  #look(path: string, layer: number): Place | undefined {
    let place = this.#root;
    for (const name of path.split("/")) {
      const next: Place | undefined = place.below?.get(name);
      if (next === undefined || layer < (place.opaqueSince ?? 0)) return undefined;
      place = next;
    }
    return place;
  }
}
