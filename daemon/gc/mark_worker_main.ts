/**
 * The module of the thread that marks: opens the database on a connection of its own, answers one question, ends.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { findDead, type Marks } from "./mark.ts";
import { ReadConnection } from "./read_connection.ts";
import type { DeadObject, ObjectName } from "./reader.ts";

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

const pieceMax = 500;

function mark({ path, now }: MarkRequest): Marks {
  using reader = ReadConnection.open(path);
  return findDead(reader, now);
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
