/**
 * The module of the thread that marks: opens the database on a connection of its own, answers one question, ends.
 *
 * @module
 */
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { messageOf } from "../../api/errors.ts";
import { findDead, type Marks } from "./mark.ts";
import type { DeadObject, ObjectName, Reader } from "./reader.ts";

/** What the thread is asked. */
export interface MarkRequest {
  readonly path: string;
  readonly now: number;
}

/** What it answers, in pieces that the other side takes in without delay. */
export type MarkReply =
  | { readonly kind: "dead"; readonly objects: readonly DeadObject[] }
  | { readonly kind: "flat"; readonly objects: readonly ObjectName[] }
  | { readonly kind: "end"; readonly nextExpiry?: number }
  | { readonly kind: "failed"; readonly message: string };

/** The two members of a worker's global scope that are used here; Deno's types describe only the main scope. */
interface WorkerScope {
  onmessage: (event: MessageEvent<MarkRequest>) => void;
  postMessage(reply: MarkReply): void;
}

const scope = globalThis as unknown as WorkerScope;

/** Another process's checkpoint may be in the way for a moment; nobody waits for this thread. */
const busyTimeoutMs = 10_000;
const pieceMax = 500;

function mark({ path, now }: MarkRequest): Marks {
  const sqlite = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs });
  try {
    const reader: Reader = {
      // The query's text says what its columns are.
      all: <T extends object>(sql: string, ...values: SQLInputValue[]) =>
        sqlite.prepare(sql).all(...values) as unknown as T[],
    };
    sqlite.exec("BEGIN");
    return findDead(reader, now);
  } finally {
    sqlite.close();
  }
}

function* pieces<T>(objects: readonly T[]): Generator<T[]> {
  for (let start = 0; start < objects.length; start += pieceMax) yield objects.slice(start, start + pieceMax);
}

scope.onmessage = ({ data }) => {
  try {
    const { dead, flat, nextExpiry } = mark(data);
    for (const objects of pieces(dead)) scope.postMessage({ kind: "dead", objects });
    for (const objects of pieces(flat)) scope.postMessage({ kind: "flat", objects });
    scope.postMessage({ kind: "end", ...(nextExpiry === undefined ? {} : { nextExpiry }) });
  } catch (error) {
    scope.postMessage({ kind: "failed", message: messageOf(error) });
  }
};
