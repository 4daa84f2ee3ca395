/**
 * Reading the metadata database, from whichever thread and connection.
 *
 * @module
 */

/** A connection that answers queries; `Database` is one. Calls that belong together are made in one transaction. */
export interface Reader {
  /** All rows of a query. `T` is what its columns are. */
  all<T extends object>(sql: string, ...values: (string | number)[]): T[];
}

/** Kinds of objects that a collection may remove. */
export type CollectedKind = "lease" | "image" | "content" | "snapshot" | "ingest";

/** An object of the store; `key` as in `daemon/metadata/schema.ts`. */
export interface ObjectName {
  readonly namespace: string;
  readonly kind: string;
  readonly key: string;
}

/** An object that nothing keeps. */
export interface DeadObject extends ObjectName {
  readonly kind: CollectedKind;
}
