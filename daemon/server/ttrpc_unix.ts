/**
 * ttrpc on the daemon's second unix socket, where shims publish their events.
 *
 * @module
 */
import { serve } from "../../api/ttrpc/server.ts";
import type { ServiceTable } from "../../api/rpc/definition.ts";
import { removeIfThere } from "../../ffi/if_there.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { listenStream } from "../../ffi/stream_listener.ts";
import { StreamSocket } from "../../ffi/stream_socket.ts";
import { type RunningServer, runningServer } from "./running_server.ts";
import { bindAt, clearSocketPlace, type SocketPlace } from "./unix_socket.ts";

/**
 * Serves the table on the socket, for peers of the daemon's own user and group only, as containerd does. Throws as
 * {@link clearSocketPlace}.
 */
export async function serveTtrpcUnix(
  place: SocketPlace,
  services: ServiceTable,
  reactor: Reactor,
): Promise<RunningServer> {
  await clearSocketPlace(place);
  const listener = bindAt(place, (path) => listenStream(reactor, path));
  const uid = Deno.uid();
  const gid = Deno.gid();
  const engine = serve(listener, services, {
    peerOf: (connection) =>
      connection instanceof StreamSocket
        ? { address: "unix", credentials: connection.credentials() }
        : { address: "unix" },
    admits: ({ credentials }) => credentials?.uid === uid && credentials?.gid === gid,
  });
  return {
    ...runningServer(place.path, engine, services),
    // The file is not the listener's, unlike with Deno's own.
    drain: async (signal) => {
      await runningServer(place.path, engine, services).drain(signal);
      removeIfThere(place.path);
    },
  };
}
