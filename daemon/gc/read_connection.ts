/**
 * A connection that only reads, beside whoever writes: for threads and for commands that look at a daemon's root.
 *
 * @module
 */
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { Failure, messageOf } from "../../api/errors.ts";
import { diskFailure } from "../metadata/disk_failure.ts";
import { type Reserve, reserveOf, saysFull } from "../metadata/reserve.ts";
import { migrations } from "../metadata/schema.ts";
import type { Reader } from "./reader.ts";

/** Another process's checkpoint may be in the way for a moment. */
const busyTimeoutMs = 10_000;

/** See the module. Everything that it answers is of one moment, that of its first query. */
export class ReadConnection implements Reader, Disposable {
  readonly #sqlite: DatabaseSync;

  /** `spent` is the reserve that gave some room for this. */
  private constructor(sqlite: DatabaseSync, private readonly spent: Reserve | undefined) {
    this.#sqlite = sqlite;
  }

  /**
   * Opens the database file. Throws `NotFound` where there is none, `FailedPrecondition` where another version of barge
   * wrote it, `DataLoss` where it is damaged.
   */
  static open(path: string): ReadConnection {
    if (!exists(path)) throw new Failure("NotFound", `read store: there is no "${path}"`);
    const reserve = reserveOf(path);
    for (let spent: Reserve | undefined;; spent = reserve) {
      try {
        return this.#tryOpen(path, spent);
      } catch (error) {
        // The index of the log is made by the first one who reads, too.
        if (!saysFull(error, path) || !reserve.spend()) throw diskFailure(error, "read store", path);
      }
    }
  }

  static #tryOpen(path: string, spent: Reserve | undefined): ReadConnection {
    let sqlite: DatabaseSync | undefined;
    try {
      sqlite = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs });
      const connection = new ReadConnection(sqlite, spent);
      const [row] = connection.all<{ user_version: number }>("PRAGMA user_version");
      if (row?.user_version !== migrations.length) {
        const message =
          `read store: "${path}" has schema ${row?.user_version}, and this barge reads ${migrations.length}`;
        throw new Failure("FailedPrecondition", `${message}: let its daemon, or a barge run, bring it up to date`);
      }
      sqlite.exec("BEGIN");
      return connection;
    } catch (error) {
      sqlite?.close();
      const text = messageOf(error);
      if (!/not a database|malformed/.test(text)) throw error;
      throw new Failure("DataLoss", `read store: "${path}" is not a database or is damaged: ${text}`, { cause: error });
    }
  }

  all<T extends object>(sql: string, ...values: SQLInputValue[]): T[] {
    // The query's text says what its columns are.
    return this.#sqlite.prepare(sql).all(...values) as unknown as T[];
  }

  [Symbol.dispose](): void {
    this.#sqlite.close();
    this.spent?.refill();
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
