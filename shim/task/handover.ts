/**
 * What a shim does for the time after its own death, and after another one's.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import type { AdoptRequest } from "../../api/gen/shim/v1/group.ts";
import { adoptContainer } from "./adopt.ts";
import type { Containers } from "./containers.ts";
import { Depositor } from "./depositor.ts";
import { takeDeposit, TakenDeposit } from "./take_deposit.ts";

const depositors = new WeakMap<Containers, Depositor>();

/** Leaves what a successor needs with the daemon that listens there. Throws {@link SyscallError} where nobody does. */
export function depositAt(containers: Containers, socket: string): void {
  const { reactor, log } = containers.around;
  const depositor = depositors.get(containers) ?? new Depositor(reactor, log);
  depositors.set(containers, depositor);
  depositor.connect(socket, containers.all());
  containers.around.keeper = depositor;
}

/**
 * Takes a container over and gives init's process id; one that this shim has already is a success. Throws as
 * `adoptContainer`, and where there is no place for it.
 */
export async function adopt(containers: Containers, request: AdoptRequest): Promise<number> {
  const { id, bundle, socket, told } = request;
  const present = containers.get(id);
  if (present !== undefined) return present.init.pid;
  using deposit = await depositOf(containers, socket, id);
  const adoption = { id, bundle, told: new Set(told), deposit };
  const container = await containers.add(id, () => adoptContainer(containers, adoption));
  depositors.get(containers)?.inherit(container, deposit.names);
  return container.init.pid;
}

/** Without it the processes are found all the same, and what they printed since is lost. */
async function depositOf(containers: Containers, socket: string, container: string): Promise<TakenDeposit> {
  if (socket === "") return new TakenDeposit();
  const { around: { reactor, log }, namespace } = containers;
  try {
    return await takeDeposit(reactor, socket, { namespace, container });
  } catch (error) {
    log.warn(`${container}: nothing of what its shim has left can be had: ${messageOf(error)}`);
    return new TakenDeposit();
  }
}
