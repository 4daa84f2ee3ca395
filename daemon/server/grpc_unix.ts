/**
 * gRPC on the daemon's unix socket.
 *
 * @module
 */
import { serve, type ServerOptions } from "../../api/grpc/server.ts";
import type { ServiceTable } from "../../api/rpc/definition.ts";
import { patiently } from "./patient_listener.ts";
import { type RunningServer, runningServer } from "./running_server.ts";
import { bindAt, clearSocketPlace, type SocketPlace } from "./unix_socket.ts";

/**
 * Serves the table on the socket, which may be connected to when this returns. Throws as {@link clearSocketPlace}. Who
 * may connect is decided by the socket's mode. `onProblem` learns of connections that could not be taken.
 */
export async function serveGrpcUnix(
  place: SocketPlace,
  services: ServiceTable,
  options: Pick<ServerOptions, "messageBytesMax" | "sendBytesMax" | "observe">,
  onProblem: (error: unknown) => void,
): Promise<RunningServer> {
  await clearSocketPlace(place);
  const listener = bindAt(place, (path) => Deno.listen({ transport: "unix", path }));
  const engine = serve(patiently(listener, onProblem), services, { ...options, peerOf: () => ({ address: "unix" }) });
  return runningServer(place.path, engine, services);
}
