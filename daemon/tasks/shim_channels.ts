/**
 * The connections of a daemon to its shims, by address: each shim is connected once, whoever uses the connection.
 *
 * @module
 */
import type { Reactor } from "../../ffi/reactor.ts";
import type { Logger } from "../log/logger.ts";
import type { ShimEndpoint } from "./bootstrap.ts";
import { ShimChannel } from "./shim_channel.ts";

interface Entry {
  readonly channel: ShimChannel;
  /** Tasks, and calls under way. */
  users: number;
  /** Whether it stays without a user. */
  isHeld: boolean;
}

/** See the module. */
export class ShimChannels {
  readonly #reactor: Reactor;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();

  constructor(reactor: Reactor, log: Logger) {
    this.#reactor = reactor;
    this.#log = log;
  }

  /** The connection to that shim, for one more user. */
  take(endpoint: ShimEndpoint): ShimChannel {
    const { address } = endpoint;
    const found = this.#entries.get(address);
    if (found?.channel.open === true) {
      found.users++;
      return found.channel;
    }
    const channel = new ShimChannel(this.#reactor, this.#log, endpoint);
    this.#entries.set(address, { channel, users: 1, isHeld: false });
    return channel;
  }

  /** How many use it. */
  users(channel: ShimChannel): number {
    return this.#entryOf(channel)?.users ?? 0;
  }

  #entryOf(channel: ShimChannel): Entry | undefined {
    const found = this.#entries.get(channel.endpoint.address);
    return found?.channel === channel ? found : undefined;
  }

  /** Keeps a connection without users open, for further ones, until it is lost. */
  hold(channel: ShimChannel): void {
    const found = this.#entryOf(channel);
    if (found === undefined || found.isHeld || !channel.open) return;
    found.isHeld = true;
    channel.losers.add(() => this.drop(channel));
  }

  /** Undoes {@link hold}. */
  drop(channel: ShimChannel): void {
    const found = this.#entryOf(channel);
    if (found?.isHeld !== true) return;
    found.isHeld = false;
    if (found.users > 0) return;
    this.#entries.delete(channel.endpoint.address);
    channel.close();
  }

  /** Gives it back. With its last user the connection ends; `lingers` says that the shim decides itself when to end. */
  give(channel: ShimChannel, lingers: boolean): void {
    const found = this.#entryOf(channel);
    if (found !== undefined) {
      found.users--;
      if (found.users > 0 || found.isHeld) return;
      this.#entries.delete(channel.endpoint.address);
    }
    if (lingers) channel.close();
    else void channel.end(this.#log);
  }

  /** Leaves all shims as they are. */
  close(): void {
    for (const { channel } of this.#entries.values()) channel.close();
    this.#entries.clear();
  }
}
