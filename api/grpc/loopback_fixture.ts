/**
 * Servers and channels over sockets, for tests.
 *
 * @module
 */
import { ServiceTable } from "../rpc/definition.ts";
import { EchoDefinition, EchoService } from "../rpc/echo_fixture.ts";
import { connect, dialUnix, type GrpcChannel } from "./client.ts";
import { type GrpcServer, serve, type ServerOptions } from "./server.ts";

/** A running server. */
export interface Loopback extends AsyncDisposable {
  readonly path: string;
  readonly service: EchoService;
  readonly server: GrpcServer;
  readonly channel: GrpcChannel;
}

/** Serves {@link EchoService} on a unix socket, with a channel to it. */
export async function loopback(options: ServerOptions = {}): Promise<Loopback> {
  const directory = await Deno.makeTempDir({ prefix: "barge-grpc-" });
  const path = `${directory}/s`;
  const service = new EchoService();
  const table = new ServiceTable().add(EchoDefinition, service);
  const server = serve(Deno.listen({ transport: "unix", path }), table, options);
  const channel = connect({ open: dialUnix(path), metadata: { "containerd-namespace": "test" } });
  return {
    path,
    service,
    server,
    channel,
    async [Symbol.asyncDispose]() {
      channel.close();
      server.close();
      await server.closed;
      await Deno.remove(directory, { recursive: true });
    },
  };
}
