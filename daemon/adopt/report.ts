/**
 * What adoption has done, counted, with what failed.
 *
 * @module
 */
import { isFailure } from "../../api/errors.ts";

/** Kinds of objects, in the order in which they are shown. */
export const adoptedKinds = ["namespace", "content", "snapshot", "image", "container", "lease"] as const;

/** What can be adopted. */
export type AdoptedKind = (typeof adoptedKinds)[number];

/** One object that was not adopted. */
export interface NotAdopted {
  readonly namespace: string;
  readonly kind: AdoptedKind;
  /** Undefined where the daemon did not even tell what there is of this kind. */
  readonly key: string | undefined;
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
  /** How many of them were left as they are, because our own side has changed them later. */
  kept = 0;
  readonly #failures = new Map<string, NotAdopted>();

  constructor(readonly namespace: string, private readonly signal: AbortSignal) {}

  /** The first error of each object. */
  get failures(): NotAdopted[] {
    return [...this.#failures.values()];
  }

  /** Counts the object where the body succeeds, and keeps its error otherwise. The body says whether it took it over. */
  async attempt(kind: AdoptedKind, key: string, body: () => Promise<boolean>): Promise<void> {
    const taken = await this.tell(kind, key, body);
    if (taken === undefined) return;
    this.counts[kind]++;
    if (!taken) this.kept++;
  }

  /** Gives what the body gives, or undefined where it fails. Nothing is counted but the error. */
  async tell<T>(kind: AdoptedKind, key: string | undefined, body: () => Promise<T>): Promise<T | undefined> {
    this.signal.throwIfAborted();
    try {
      return await body();
    } catch (error) {
      this.signal.throwIfAborted();
      const id = `${kind} ${key ?? ""}`;
      if (!this.#failures.has(id)) this.#failures.set(id, { namespace: this.namespace, kind, key, error });
      return undefined;
    }
  }

  /** All of one kind. Where they cannot be had it is reported, and there are none; a daemon that is gone ends all. */
  async list<T>(kind: AdoptedKind, items: () => Promise<T[]>): Promise<T[]> {
    const listed = await this.tell(kind, undefined, async () => {
      try {
        return { items: await items() };
      } catch (error) {
        if (isFailure(error, "Unavailable")) return { gone: error };
        throw error;
      }
    });
    if (listed?.gone !== undefined) throw listed.gone;
    return listed?.items ?? [];
  }
}
