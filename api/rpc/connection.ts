/**
 * What the protocol engines need of a socket. `Deno.Conn` and `Deno.Listener` fit, and so do sockets opened by FFI.
 *
 * @module
 */
import type { Peer } from "./context.ts";

/** A connected stream socket. */
export interface Connection {
  /** Reads at least one byte into `into` and says how many; null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes at least one byte and says how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends both directions; waiting reads and writes fail. */
  close(): void;
  /** True: sends what is written at once. Only sockets over TCP have it, which wait for more to send otherwise. */
  setNoDelay?(noDelay: boolean): void;
}

/** A listening socket: gives connections until it is closed. */
export interface Listener extends AsyncIterable<Connection> {
  /** Takes no further connections. Those that were given stay. */
  close(): void;
}

/** What a server wants to know of a connection that its listener gave; asked once, when it comes. */
export type PeerOf = (connection: Connection) => Peer;
