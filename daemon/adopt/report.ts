/**
 * What adoption has done, counted, with what failed.
 *
 * @module
 */

/** Kinds of objects, in the order in which they are shown. */
export const adoptedKinds = ["namespace", "content", "snapshot", "image", "container", "lease"] as const;

/** What can be adopted. */
export type AdoptedKind = (typeof adoptedKinds)[number];

/** One object that was not adopted. */
export interface NotAdopted {
  readonly namespace: string;
  readonly kind: AdoptedKind;
  readonly key: string;
  readonly error: unknown;
}

/** Counts one namespace's objects. One object's error never stops the rest; a signal's does. */
export class Report {
  readonly counts: Record<AdoptedKind, number> = {
    namespace: 0,
    content: 0,
    snapshot: 0,
    image: 0,
    container: 0,
    lease: 0,
  };
  readonly failures: NotAdopted[] = [];

  constructor(readonly namespace: string, private readonly signal: AbortSignal) {}

  /** Counts so many more. */
  count(kind: AdoptedKind, objects = 1): void {
    this.counts[kind] += objects;
  }

  /** Counts the object where the body succeeds, and keeps its error otherwise. */
  async attempt(kind: AdoptedKind, key: string, body: () => Promise<void>): Promise<void> {
    if (await this.attemptQuietly(kind, key, body)) this.count(kind);
  }

  /** As {@link attempt}, without counting; says whether it succeeded. */
  async attemptQuietly(kind: AdoptedKind, key: string, body: () => Promise<void>): Promise<boolean> {
    this.signal.throwIfAborted();
    try {
      await body();
      return true;
    } catch (error) {
      this.signal.throwIfAborted();
      this.failures.push({ namespace: this.namespace, kind, key, error });
      return false;
    }
  }
}
