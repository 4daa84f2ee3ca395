/**
 * barge's own service of a shim: places for further containers, and what is to happen when a shim dies.
 *
 * @module
 */
import type {
  AdoptRequest,
  AdoptResponse,
  DepositRequest,
  DepositResponse,
  GroupDefinition,
  InfoResponse,
  ReserveRequest,
  ReserveResponse,
} from "../../api/gen/shim/v1/group.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { buildVersion } from "../../api/version.ts";
import type { ShimLifetime } from "./shim_life.ts";

/** What is done for the time after this shim's death, and after another one's. Only barge's daemon asks for it. */
export interface ShimHandover {
  /** Leaves what a successor needs with the daemon that listens there. */
  deposit(socket: string): Promise<void>;
  /** Takes a container over; gives init's process id. */
  adopt(request: AdoptRequest): Promise<number>;
}

/** That the call is answered is the point: a socket that can be connected to may be a dead shim's. */
export class GroupService implements ServiceOf<typeof GroupDefinition> {
  constructor(readonly life: ShimLifetime, readonly handover: ShimHandover) {}

  // deno-lint-ignore require-await -- what is thrown must be a rejection
  async reserve({ id }: ReserveRequest): Promise<ReserveResponse> {
    this.life.reserve(id);
    return { shimPid: Deno.pid };
  }

  // deno-lint-ignore require-await -- the service's methods are asynchronous
  async info(): Promise<InfoResponse> {
    const { containers, reserved, options } = this.life;
    return { shimPid: Deno.pid, version: buildVersion(), containers, reserved, places: options.placesMax };
  }

  async deposit({ socket }: DepositRequest): Promise<DepositResponse> {
    await this.handover.deposit(socket);
    return {};
  }

  async adopt(request: AdoptRequest): Promise<AdoptResponse> {
    return { pid: await this.handover.adopt(request) };
  }
}
