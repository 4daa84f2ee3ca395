/**
 * Group commit: the mutations that come in one turn of the event loop share one transaction and one wait for the disk.
 *
 * @module
 */

/** Steps that take back what a mutation did outside the database; run last to first when it fails. */
export type Undo = (() => void)[];

/** What the queue needs of a database. All are synchronous. */
export interface Transactions {
  /** Runs the function in one transaction, which is rolled back when it throws. */
  atomically(durable: boolean, body: () => void): void;
  /** Runs the function so that what it wrote is gone when it throws, and nothing else is. Inside `atomically`. */
  separately<T>(body: () => T): T;
  /** Whether the error means that another process is in the way, and the same may succeed later. */
  isBusy(error: unknown): boolean;
  /** Where the error says that the disk is full: makes some room for deletions, and says whether it could. */
  makeRoom(error: unknown): boolean;
  /** Called after a commit for which room was made. */
  roomWasUsed(): void;
}

/** How one mutation is to be committed. */
export interface MutationOptions {
  readonly durable: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Whether it makes room on the disk, and may use what is kept for that. */
  readonly frees?: boolean | undefined;
}

interface Mutation {
  readonly body: (undo: Undo) => unknown;
  readonly durable: boolean;
  readonly signal: AbortSignal | undefined;
  readonly frees: boolean;
  /** How often room was made for it. */
  rooms: number;
  readonly deadline: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome = { readonly undo: Undo; readonly result: unknown } | { readonly error: unknown };

/** A batch holds the event loop and the write lock: it ends after so many milliseconds, and the rest is the next one's. */
const batchMsMax = 10;
/** How many micro-tasks a batch waits for company: requests of one read of a socket are decoded in as many. */
const hopsMax = 12;
/** A deletion for which room was made so often, and always taken by others, has failed. */
const roomsMax = 8;

/** The mutations that wait for their transaction. */
export class CommitQueue {
  readonly #waiting: Mutation[] = [];
  #scheduled = false;
  #pauseMs = 1;
  /** Room was made, for deletions only. */
  #hasRoom = false;

  /** `now` is a clock in milliseconds, for tests. */
  constructor(
    private readonly database: Transactions,
    private readonly lockDeadlineMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * Runs a body in a transaction that it may share with others, and answers after the commit. A body that throws takes
   * back only what it did itself. Bodies run in the order in which they came.
   */
  run<T>(body: (undo: Undo) => T, { durable, signal, frees = false }: MutationOptions): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const deadline = this.now() + this.lockDeadlineMs;
      this.#waiting.push({
        ...{ body, durable, signal, frees, deadline, reject },
        rooms: 0,
        // The result of `body` is what `resolve` takes.
        resolve: resolve as (result: unknown) => void,
      });
      if (!this.#scheduled) {
        this.#scheduled = true;
        this.#hop(hopsMax);
      }
    });
  }

  /** Lets micro-tasks that are ready add their mutations before the batch begins. */
  #hop(left: number): void {
    queueMicrotask(() => left === 0 ? this.#flush() : this.#hop(left - 1));
  }

  #flush(): void {
    const batch: Mutation[] = [];
    const outcomes: Outcome[] = [];
    try {
      for (let index = 0; index < this.#waiting.length;) {
        const { signal, reject } = this.#waiting[index]!;
        if (signal?.aborted !== true) index++;
        else this.#waiting.splice(index, 1).forEach(() => reject(signal.reason));
      }
      if (this.#waiting.length > 0) this.#commit(batch, outcomes);
    } catch (error) {
      this.#failed(batch, outcomes, error);
      return;
    }
    this.#pauseMs = 1;
    if (this.#hasRoom) this.database.roomWasUsed();
    this.#hasRoom = false;
    const again: Mutation[] = [];
    for (const [index, mutation] of batch.entries()) {
      const outcome = outcomes[index]!;
      if (!("error" in outcome)) mutation.resolve(outcome.result);
      else if (this.#getsRoom([mutation], outcome.error)) again.push(mutation);
      else mutation.reject(outcome.error);
    }
    this.#waiting.unshift(...again);
    this.#scheduled = this.#waiting.length > 0;
    if (this.#hasRoom) return this.#flush();
    // Not at once: what else there is to do had to wait for this batch.
    if (this.#scheduled) setTimeout(() => this.#flush(), 0);
  }

  #commit(batch: Mutation[], outcomes: Outcome[]): void {
    const alone = this.#waiting.length === 1;
    const durable = this.#waiting.some((mutation) => mutation.durable);
    this.database.atomically(durable, () => {
      const end = this.now() + batchMsMax;
      do {
        const mutation = this.#waiting.shift()!;
        batch.push(mutation);
        outcomes.push(this.#perform(mutation, alone));
        // Room that was made is not for what would take it.
      } while (this.#waiting.length > 0 && this.now() < end && (!this.#hasRoom || this.#waiting[0]!.frees));
      const [first] = outcomes;
      // Alone it has no savepoint: the transaction is taken back.
      if (alone && first !== undefined && "error" in first) throw first.error;
    });
  }

  #perform({ body }: Mutation, alone: boolean): Outcome {
    const undo: Undo = [];
    try {
      return { undo, result: alone ? body(undo) : this.database.separately(() => body(undo)) };
    } catch (error) {
      for (const step of undo.reverse()) step();
      return { error };
    }
  }

  /** The transaction came to nothing: takes back the files' moves, and tries again where another was in the way. */
  #failed(batch: Mutation[], outcomes: Outcome[], error: unknown): void {
    for (const outcome of outcomes.toReversed()) {
      if ("undo" in outcome) { for (const step of outcome.undo.reverse()) step(); }
    }
    const again: Mutation[] = [];
    const busy = this.database.isBusy(error);
    const failed = batch.length > 0 ? batch : this.#waiting.splice(0);
    const hasRoom = this.#hasRoom = !busy && this.#getsRoom(failed, error);
    for (const mutation of failed) {
      if ((busy && this.now() < mutation.deadline) || (hasRoom && mutation.frees)) again.push(mutation);
      else mutation.reject(error);
    }
    this.#waiting.unshift(...again);
    this.#scheduled = this.#waiting.length > 0;
    if (!this.#scheduled) return;
    // At once, before others take it.
    if (hasRoom) return this.#flush();
    // Random, so that two processes that collided do not collide again.
    setTimeout(() => this.#flush(), this.#pauseMs * (0.5 + Math.random()));
    this.#pauseMs = Math.min(this.#pauseMs * 2, 50);
  }

  /** Makes room for those of the mutations that make some themselves; says whether it could. */
  #getsRoom(mutations: readonly Mutation[], error: unknown): boolean {
    const freeing = mutations.filter(({ frees, rooms }) => frees && rooms < roomsMax);
    if (freeing.length === 0 || !this.database.makeRoom(error)) return false;
    for (const mutation of freeing) mutation.rooms++;
    this.#hasRoom = true;
    return true;
  }
}
