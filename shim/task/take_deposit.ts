/**
 * Fetches from barge's daemon what a dead shim has left there of a container.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { connectForParcels, receiveParcel, sendParcel } from "../../ffi/parcel.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { readable } from "../io/readable.ts";
import { type DepositName, depositText, parseDeposit } from "./deposit_message.ts";

/** Descriptors that nobody has taken yet; they are closed with it. */
export class TakenDeposit implements Disposable {
  readonly #processes = new Map<string, Map<DepositName, Descriptor>>();
  /** All names that came, by exec id. */
  readonly names = new Map<string, DepositName[]>();

  /** Adds what came. */
  add(execId: string, names: readonly DepositName[], descriptors: readonly Descriptor[]): void {
    const held = this.#processes.get(execId) ?? new Map<DepositName, Descriptor>();
    this.#processes.set(execId, held);
    this.names.set(execId, [...this.names.get(execId) ?? [], ...names]);
    descriptors.forEach((descriptor, index) => {
      const name = names[index];
      if (name === undefined || held.has(name)) descriptor.close();
      else held.set(name, descriptor);
    });
  }

  /** The descriptor, from now on the caller's. */
  take(execId: string, name: DepositName): Descriptor | undefined {
    const held = this.#processes.get(execId);
    const found = held?.get(name);
    held?.delete(name);
    return found;
  }

  [Symbol.dispose](): void {
    for (const held of this.#processes.values()) for (const descriptor of held.values()) descriptor.close();
    this.#processes.clear();
  }
}

/** The daemon has it in memory. */
const answerMsMax = 5_000;

/** Throws {@link SyscallError} where nobody listens, `DeadlineExceeded` and `DataLoss` where the answer is not complete. */
export async function takeDeposit(
  reactor: Reactor,
  socket: string,
  owner: { readonly namespace: string; readonly container: string },
): Promise<TakenDeposit> {
  using connection = connectForParcels(socket);
  const taken = new TakenDeposit();
  try {
    sendParcel(connection.number, depositText({ does: "take", ...owner }), []);
    for (;;) {
      const parcel = receiveParcel(connection.number);
      if (parcel === "end") throw new Failure("DataLoss", "the daemon did not give all that it has of a dead shim");
      if (parcel === undefined) {
        if (await readable(reactor, connection.number, answerMsMax)) continue;
        throw new Failure("DeadlineExceeded", `the daemon did not give within ${answerMsMax / 1000} s what it has`);
      }
      const message = parseDeposit(parcel.text);
      if (message.does === "end") return taken;
      if (message.does === "keep") taken.add(message.process, message.names, parcel.descriptors);
      else for (const descriptor of parcel.descriptors) descriptor.close();
    }
  } catch (error) {
    taken[Symbol.dispose]();
    throw error;
  }
}
