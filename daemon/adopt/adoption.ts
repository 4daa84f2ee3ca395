/**
 * The adoption of one namespace: its two sides, and how objects go from one to the other.
 *
 * @module
 */
import type { Store } from "../store.ts";
import type { AdoptedKind, Report } from "./report.ts";
import type { StockSide } from "./stock_daemon.ts";

/** So many objects at once share one wait for the disk, and ask the daemon at once where they have to. */
const batchMax = 100;

/** Writes what is known of an object, in a transaction; says false where ours is newer and stays. */
export type Take = (store: Store) => boolean;

/** One namespace between a stock daemon and our store. */
export class Adoption {
  /** Without a store it is a trial: objects are looked at and counted, and nothing changes on either side. */
  constructor(
    readonly stock: StockSide,
    readonly root: string,
    readonly store: Store | undefined,
    readonly namespace: string,
    readonly report: Report,
  ) {}

  /**
   * Adopts all of one kind. `look` checks an object, and gives what writes it. They are written in their order, and what
   * fails in either step is reported.
   */
  async each<T>(
    kind: AdoptedKind,
    items: readonly T[],
    keyOf: (item: T) => string,
    look: (item: T) => Take | Promise<Take>,
  ): Promise<void> {
    for (let at = 0; at < items.length; at += batchMax) {
      await Promise.all(
        items.slice(at, at + batchMax).map((item) =>
          this.report.attempt(kind, keyOf(item), async () => {
            const take = await look(item);
            const { store } = this;
            return store === undefined ? true : await store.objects.database.transaction(() => take(store));
          })
        ),
      );
    }
  }
}
