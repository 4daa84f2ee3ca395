/**
 * The one SQLite database of a root: opening it, reading it, and transactions on it.
 *
 * @module
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { Failure } from "../../api/errors.ts";
import { CommitQueue, type Undo } from "./commit_queue.ts";
import { diskFailure } from "./disk_failure.ts";
import { type Reserve, reserveOf, saysFull } from "./reserve.ts";
import { migrations, newSchema } from "./schema.ts";

/** What goes into a statement's `?`. */
export type Value = SQLInputValue;

/**
 * SQLite sleeps inside the call where another process holds the write lock, and with it our event loop. So it sleeps
 * for this long only, and we try again by timer.
 */
const busyTimeoutMs = 20;

/**
 * The log is folded into the database when it has so many pages. Whoever opens the database reads the whole log first,
 * so a short one makes starts quick; a container's life writes a dozen pages.
 */
const logPagesMax = 64;
/** As {@link logPagesMax}, for a daemon, which is not started often: 8 MB, so that few commits pay for folding. */
const ownerLogPagesMax = 2_000;
/** A transaction of many rows, or one beside a long reader, makes the log longer; it is cut to this afterwards. */
const logBytesMax = 1 << 20;
/** As {@link logBytesMax}, for an owner: what its log has anyway. */
const ownerLogBytesMax = 8 << 20;
/** How often a reserve that was spent is looked after. */
const refillMs = 1_000;
/** How long another process may hold the write lock before we say so; a transaction takes less than a millisecond. */
const lockDeadlineMs = 30_000;

/** Options of {@link Database.transaction}. */
export interface TransactionOptions {
  /** Ends the waiting for another process's transaction. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether the commit waits for the disk. Default true. Without, it survives the death of every process, but perhaps
   * not a power cut; that is enough for what ends with its process. Whatever is durable later makes it durable too,
   * so that a durable row never refers to one that was lost.
   */
  readonly durable?: boolean;
  /**
   * Whether the body only removes: what makes room on a full disk may spend the reserve that is kept for it. Default
   * false.
   */
  readonly frees?: boolean;
}

export type { Undo } from "./commit_queue.ts";

/** Counts of what this process has committed; garbage collection is scheduled by them. */
export interface Changes {
  readonly mutations: number;
  /** Objects and leases that were removed. */
  readonly deletions: number;
}

/**
 * An open database in WAL mode with full durability: what a finished transaction wrote survives a power cut.
 *
 * Several processes may have it open at once. All statements are synchronous; a transaction's body is a function that
 * cannot await, so that no lock outlives one turn of the event loop.
 *
 * A process that ends without `close` loses nothing and saves the next opener's work: the log stays for it.
 */
export class Database implements Disposable {
  readonly #sqlite: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #arrayStatements = new Map<string, StatementSync>();
  readonly #queue: CommitQueue;
  #durable = true;
  #mutations = 0;
  #deletions = 0;
  /** Why SQLite ended the transaction before its commit, such as a full disk. */
  #ended: unknown;
  #watchers: (() => void)[] = [];
  readonly #reserve: Reserve;
  /** When the reserve that was spent is to be looked after; undefined where it is whole. */
  #refillAt: number | undefined;
  /** Path of the file. */
  readonly path: string;

  private constructor(sqlite: DatabaseSync, path: string) {
    this.#sqlite = sqlite;
    this.path = path;
    this.#reserve = reserveOf(path);
    this.#queue = new CommitQueue(
      {
        atomically: (durable, body) => this.#atomically(durable, body),
        separately: (body) => this.#separately(body),
        isBusy,
        makeRoom: (error) => this.#makeRoom(error),
        roomWasUsed: () => this.#roomWasUsed(),
      },
      lockDeadlineMs,
    );
  }

  /**
   * Opens the database file, makes it where it is missing, and brings an older schema up to date. The directory must
   * exist. An owner keeps it open for long. Throws `FailedPrecondition` where a newer barge wrote it, `DataLoss` where
   * it is not a database.
   */
  static async open(path: string, signal?: AbortSignal, user: "guest" | "owner" = "guest"): Promise<Database> {
    const reserve = reserveOf(path);
    for (let isSpent = false;; isSpent = true) {
      try {
        const database = await this.#tryOpen(path, signal, user);
        if (isSpent) database.#roomWasUsed();
        return database;
      } catch (error) {
        // The log's index needs some room even where nothing is to be written.
        if (!saysFull(error, path) || !reserve.spend()) throw openFailure(error, path);
      }
    }
  }

  static async #tryOpen(path: string, signal: AbortSignal | undefined, user: "guest" | "owner"): Promise<Database> {
    const { DatabaseSync } = await import("node:sqlite");
    const database = new Database(new DatabaseSync(path, { timeout: busyTimeoutMs }), path);
    try {
      if (await database.#version(signal) !== migrations.length) await database.#migrate(signal);
      const [pages, bytes] = user === "owner" ? [ownerLogPagesMax, ownerLogBytesMax] : [logPagesMax, logBytesMax];
      database.#sqlite.exec(`PRAGMA wal_autocheckpoint = ${pages}; PRAGMA journal_size_limit = ${bytes}`);
      if (user === "owner") {
        await database.#probe(signal);
        database.#reserve.refill();
      }
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  async #version(signal?: AbortSignal): Promise<number> {
    return await this.read(() => this.get<{ user_version: number }>("PRAGMA user_version")!.user_version, signal);
  }

  /**
   * Looks at the first page of each table: what is torn there would answer every call with an error. The whole file is
   * the doctor's to read, as that takes long.
   */
  async #probe(signal?: AbortSignal): Promise<void> {
    await this.read(() => {
      for (const { name } of this.all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")) {
        this.#sqlite.prepare(`SELECT 1 FROM "${name}" LIMIT 1`).get();
      }
    }, signal);
  }

  async #migrate(signal?: AbortSignal): Promise<void> {
    // The journal mode is kept in the file, so only the one who makes it sets it; it cannot be set in a transaction.
    await this.read(() => this.#sqlite.exec("PRAGMA journal_mode = WAL"), signal);
    await this.transaction(() => {
      const version = this.get<{ user_version: number }>("PRAGMA user_version")!.user_version;
      if (version > migrations.length) {
        throw new Failure(
          "FailedPrecondition",
          `open store: "${this.path}" has schema ${version}, and this barge knows up to ${migrations.length}: ` +
            `use the newer barge that wrote it`,
        );
      }
      for (const step of version === 0 ? [newSchema] : migrations.slice(version)) this.#sqlite.exec(step);
      this.#sqlite.exec(`PRAGMA user_version = ${migrations.length}`);
    }, { signal });
    this.#reserve.refill();
  }

  /** The first row, in a transaction or through {@link read}. `T` is what the query's columns are. */
  get<T extends object>(sql: string, ...values: Value[]): T | undefined {
    // The caller names columns and types in its SQL text; SQLite's STRICT tables hold it to them.
    return this.#statement(sql).get(...values) as T | undefined;
  }

  /** All rows; see {@link get}. */
  all<T extends object>(sql: string, ...values: Value[]): T[] {
    // As in get().
    return this.#statement(sql).all(...values) as unknown as T[];
  }

  /** As {@link all}, with each row as an array of its columns, which takes two thirds of the time. */
  rows<T extends readonly unknown[]>(sql: string, ...values: Value[]): T[] {
    let statement = this.#arrayStatements.get(sql);
    if (statement === undefined) {
      statement = this.#sqlite.prepare(sql);
      // Deno has it, as Node.js does, and its types do not say so yet.
      (statement as StatementSync & { setReturnArrays(enabled: boolean): void }).setReturnArrays(true);
      this.#arrayStatements.set(sql, statement);
    }
    // As in get().
    return statement.all(...values) as unknown as T[];
  }

  /** Changes rows, and says how many. Only inside {@link transaction}. */
  run(sql: string, ...values: Value[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#sqlite.prepare(sql));
    return statement;
  }

  /**
   * Runs a body that only reads, again while another process is in the way. Throws what the body throws, and `DataLoss`
   * where the file is damaged.
   */
  async read<T>(body: () => T, signal?: AbortSignal): Promise<T> {
    try {
      return await this.#patiently(body, signal);
    } catch (error) {
      throw diskFailure(error, "read the store", this.path);
    }
  }

  /**
   * Runs the body in an IMMEDIATE transaction: it sees nothing of other processes' writers, and they see all of it or
   * nothing. Bodies that come in one turn of the event loop share the transaction, one after another, and its one wait
   * for the disk. Where the body fails, what it did is taken back and the steps in `undo` are run, and so where the
   * commit fails.
   *
   * Throws what the body throws, `ResourceExhausted` where the disk is full, `Unavailable` where another process
   * held the write lock for 30 s.
   */
  async transaction<T>(body: (undo: Undo) => T, options: TransactionOptions = {}): Promise<T> {
    const { durable = true, signal, frees } = options;
    try {
      return await this.#queue.run(body, { durable, signal, frees });
    } catch (error) {
      if (isBusy(error)) throw this.#locked(error);
      throw diskFailure(error, "write to the store", this.path);
    }
  }

  #atomically(durable: boolean, body: () => void): void {
    if (this.#durable !== durable) {
      this.#sqlite.exec(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}`);
      this.#durable = durable;
    }
    this.#sqlite.exec("BEGIN IMMEDIATE");
    const deletions = this.#deletions;
    try {
      body();
      if (!this.#sqlite.isTransaction) throw this.#ended;
      this.#sqlite.exec("COMMIT");
    } catch (error) {
      this.#deletions = deletions;
      // A full disk or an I/O error may have ended the transaction already.
      if (this.#sqlite.isTransaction) this.#sqlite.exec("ROLLBACK");
      throw error;
    }
    this.#mutations++;
    if (this.#refillAt !== undefined && performance.now() >= this.#refillAt) this.refillReserve();
    for (const watcher of this.#watchers) watcher();
  }

  #separately<T>(body: () => T): T {
    // Without its transaction a savepoint would be one of its own, and commit.
    if (!this.#sqlite.isTransaction) throw this.#ended;
    this.#sqlite.exec("SAVEPOINT mutation");
    try {
      const result = body();
      this.#sqlite.exec("RELEASE mutation");
      return result;
    } catch (error) {
      if (this.#sqlite.isTransaction) this.#sqlite.exec("ROLLBACK TO mutation; RELEASE mutation");
      else this.#ended = error;
      throw error;
    }
  }

  #makeRoom(error: unknown): boolean {
    return saysFull(error, this.path) && this.#reserve.spend();
  }

  /** The log that a deletion has needed is folded in, so that the next one begins with an empty log. */
  #roomWasUsed(): void {
    try {
      this.#sqlite.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // The database itself has no room to grow, or a reader needs the log: later, then. The commit is done.
    }
    this.refillReserve({ all: true });
  }

  /** Puts aside again what deletions have spent on a full disk, where there is room by now. */
  refillReserve(options: { all?: boolean } = {}): void {
    this.#refillAt = this.#reserve.refill(options) ? undefined : performance.now() + refillMs;
  }

  /** Counts the removal of an object for {@link changes}. Inside a transaction. */
  noteDeletion(): void {
    this.#deletions++;
  }

  /** What this process has committed so far. */
  get changes(): Changes {
    return { mutations: this.#mutations, deletions: this.#deletions };
  }

  /** Calls the function after each commit, until the returned function is called. */
  watch(watcher: () => void): () => void {
    this.#watchers.push(watcher);
    return () => this.#watchers = this.#watchers.filter((other) => other !== watcher);
  }

  async #patiently<T>(attempt: () => T, signal?: AbortSignal): Promise<T> {
    let deadline: number | undefined;
    for (let pauseMs = 1;; pauseMs = Math.min(pauseMs * 2, 50)) {
      signal?.throwIfAborted();
      try {
        return attempt();
      } catch (error) {
        if (!isBusy(error)) throw error;
        deadline ??= performance.now() + lockDeadlineMs;
        if (performance.now() > deadline) {
          throw this.#locked(error);
        }
      }
      // Random, so that two who collided do not collide again.
      await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
    }
  }

  #locked(cause: unknown): Failure {
    const seconds = lockDeadlineMs / 1000;
    return new Failure(
      "Unavailable",
      `use store "${this.path}": another process has locked it for ${seconds} s: it may be stopped or hang`,
      { cause },
    );
  }

  /** Closes the file; the last one to do so moves the log into it. */
  close(): void {
    this.#statements.clear();
    this.#arrayStatements.clear();
    if (this.#sqlite.isOpen) this.#sqlite.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR" &&
    (error.message.includes("database is locked") || error.message.includes("database schema is locked"));
}

/** SQLite says "unable to open database file" for every reason; the kernel knows which. */
function openFailure(error: unknown, path: string): unknown {
  if (error instanceof Failure) return error;
  const known = diskFailure(error, "open store", path);
  if (known !== error) return known;
  try {
    Deno.openSync(path, { read: true, write: true, create: true }).close();
  } catch (reason) {
    return diskFailure(reason, "open store", path);
  }
  return diskFailure(error, "open store", path);
}
