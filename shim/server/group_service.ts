/**
 * barge's own service of a shim: places for further containers.
 *
 * @module
 */
import type { GroupDefinition, InfoResponse, ReserveRequest, ReserveResponse } from "../../api/gen/shim/v1/group.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { version } from "../../api/version.ts";
import type { ShimLifetime } from "./shim_life.ts";

/** That the call is answered is the point: a socket that can be connected to may be a dead shim's. */
export class GroupService implements ServiceOf<typeof GroupDefinition> {
  constructor(readonly life: ShimLifetime) {}

  // deno-lint-ignore require-await -- what is thrown must be a rejection
  async reserve({ id }: ReserveRequest): Promise<ReserveResponse> {
    this.life.reserve(id);
    return { shimPid: Deno.pid };
  }

  // deno-lint-ignore require-await -- the service's methods are asynchronous
  async info(): Promise<InfoResponse> {
    const { containers, reserved, options } = this.life;
    return { shimPid: Deno.pid, version, containers, reserved, places: options.placesMax };
  }
}
