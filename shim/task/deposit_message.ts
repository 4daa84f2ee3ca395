/**
 * What shims and barge's daemon say to each other where descriptors are left with the daemon: one JSON object in a parcel,
 * with the descriptors that it names in its order.
 *
 * A shim sends `keep` and `drop`. A successor sends `take` and is answered with a `keep` for each process, and `end`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { HeldName } from "../io/stream_ends.ts";

/** What a descriptor is to its process. */
export type DepositName = HeldName | "pidfd";

/** Whose descriptors. */
export interface DepositOwner {
  readonly namespace: string;
  readonly container: string;
  /** Id of the exec; empty for init. */
  readonly process: string;
}

/** See the module. Of the same name, what comes later takes the place of what came before. */
export type DepositMessage =
  | DepositOwner & { readonly does: "keep" | "drop"; readonly names: readonly DepositName[] }
  | { readonly does: "take"; readonly namespace: string; readonly container: string }
  | { readonly does: "end" };

const names: ReadonlySet<string> = new Set<DepositName>([
  "pidfd",
  "stdin",
  "stdout",
  "stderr",
  "master",
  "logger",
  "stdinFifo",
  "stdoutFifo",
  "stderrFifo",
]);

/** The text of a message. */
export function depositText(message: DepositMessage): string {
  return JSON.stringify(message);
}

/** Reads a text, whoever has sent it. Throws `InvalidArgument`. */
export function parseDeposit(text: string): DepositMessage {
  let found: Partial<Record<string, unknown>>;
  try {
    found = JSON.parse(text) ?? {};
  } catch (error) {
    throw new Failure("InvalidArgument", "a message to the deposit is no JSON", { cause: error });
  }
  const { does, namespace, container, process, names: given } = found;
  if (does === "end") return { does };
  if (typeof namespace === "string" && typeof container === "string") {
    if (does === "take") return { does, namespace, container };
    if ((does === "keep" || does === "drop") && typeof process === "string" && Array.isArray(given)) {
      const unknown = given.find((name) => !names.has(name));
      // All of them are names by now.
      if (unknown === undefined) return { does, namespace, container, process, names: given as DepositName[] };
    }
  }
  throw new Failure(
    "InvalidArgument",
    `a message to the deposit is ${text.slice(0, 200)}: want keep, drop, take or end`,
  );
}
