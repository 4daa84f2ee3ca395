/**
 * Barge's own shims that run already: a further container asks one for a place by a call, which saves starting a program
 * that would ask the same.
 *
 * @module
 */
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { GroupDefinition } from "../../api/gen/shim/v1/group.ts";
import { messageOf } from "../../api/errors.ts";
import type { Logger } from "../log/logger.ts";
import type { ShimEndpoint } from "./bootstrap.ts";
import type { StartedShim } from "./own_shims.ts";
import type { ShimChannel } from "./shim_channel.ts";
import type { ShimChannels } from "./shim_channels.ts";

/** A shim that takes longer for a call without work is not given a container. */
const reserveMsMax = 2_000;
/** Groups that are remembered; options come from clients. */
const groupsMax = 1_000;

/** What containers of one shim have in common. */
export interface ShimGroup {
  readonly namespace: string;
  /** Path of the shim's program. */
  readonly program: string;
  /** Of the runtime. */
  readonly options: Any | undefined;
}

function keyOf({ namespace, program, options }: ShimGroup): string {
  const text = options === undefined ? "" : `${options.typeUrl} ${options.value.toHex()}`;
  return `${namespace} ${program} ${text}`;
}

/** The last shim that was started for each group. */
export class ShimGroups {
  readonly #channels: ShimChannels;
  readonly #log: Logger;
  readonly #endpoints = new Map<string, { endpoint: ShimEndpoint; channel: ShimChannel | undefined }>();

  constructor(channels: ShimChannels, log: Logger) {
    this.#channels = channels;
    this.#log = log;
  }

  /** Notes where a shim of the group listens. */
  add(group: ShimGroup, endpoint: ShimEndpoint): void {
    if (this.#endpoints.size >= groupsMax) { for (const key of [...this.#endpoints.keys()]) this.#forget(key); }
    this.#endpoints.set(keyOf(group), { endpoint, channel: undefined });
  }

  #forget(key: string): void {
    const channel = this.#endpoints.get(key)?.channel;
    if (channel !== undefined) this.#channels.drop(channel);
    this.#endpoints.delete(key);
  }

  /**
   * A shim of the group that keeps a place for the container; undefined where none is known, or it is full, gone or too
   * slow: then its program finds another one. Throws the signal's reason.
   */
  async reserve(group: ShimGroup, id: string, signal: AbortSignal): Promise<StartedShim | undefined> {
    const key = keyOf(group);
    const found = this.#endpoints.get(key);
    if (found === undefined) return undefined;
    const { endpoint } = found;
    const channel = this.#channels.take(endpoint);
    try {
      const { shimPid } = await channel.clientOf(GroupDefinition).reserve({ id }, { signal, timeoutMs: reserveMsMax });
      // The next container comes soon, or the shim ends.
      this.#channels.hold(channel);
      found.channel = channel;
      return { endpoint, pid: shimPid };
    } catch (error) {
      signal.throwIfAborted();
      this.#log.debug("shim takes no further container", { reason: messageOf(error), address: endpoint.address });
      this.#forget(key);
      return undefined;
    } finally {
      this.#channels.give(channel, true);
    }
  }
}
