/**
 * HTTP on a unix socket or a TCP address.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { bindAt, clearSocketPlace } from "./unix_socket.ts";
import { parseTcpAddress } from "./tcp_address.ts";

/** What answers requests. */
export type HttpHandler = (request: Request) => Response | Promise<Response>;

/** Where to listen. */
export interface HttpPlace {
  /** Absolute path of a unix socket, or `host:port`. */
  readonly address: string;
  /** Owner of a unix socket. */
  readonly uid: number;
  readonly gid: number;
}

/** A server of HTTP requests. */
export interface HttpEndpoint {
  /** Where it listens, with the port that was given for port 0. */
  readonly address: string;
  /** Takes no more requests; ends those that are under way after a moment. */
  close(): Promise<void>;
}

/** How long requests may take to end when the endpoint does. */
const closeMs = 1000;

/** Serves. Throws `InvalidArgument` for an address that cannot be, `Unavailable` for one that is taken. */
export async function serveHttp(place: HttpPlace, handler: HttpHandler): Promise<HttpEndpoint> {
  const { address } = place;
  const options = {
    handler,
    onListen: () => {},
    onError: (error: unknown) => new Response(`${messageOf(error)}\n`, { status: 500 }),
  };
  const abort = new AbortController();
  if (address.startsWith("/")) {
    const socket = { path: address, uid: place.uid, gid: place.gid };
    await clearSocketPlace(socket);
    const server = bindAt(socket, (path) => Deno.serve({ ...options, path, signal: abort.signal }));
    return { address, close: () => shutdown(server, abort) };
  }
  const { hostname, port } = parseTcpAddress(address);
  try {
    const server = Deno.serve({ ...options, hostname, port, signal: abort.signal });
    return { address: `${hostname}:${server.addr.port}`, close: () => shutdown(server, abort) };
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new Failure("Unavailable", `listen on "${address}": the address is in use`, { cause: error });
  }
}

async function shutdown(server: { shutdown(): Promise<void>; finished: Promise<void> }, abort: AbortController) {
  const timer = setTimeout(() => abort.abort(), closeMs);
  await server.shutdown();
  await server.finished;
  clearTimeout(timer);
}
