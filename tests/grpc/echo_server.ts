/**
 * A server of the echo service on a unix socket of its own.
 *
 * @module
 */
import { connect, dialUnix, type GrpcChannel } from "../../api/grpc/client.ts";
import { type GrpcServer, serve, type ServerOptions } from "../../api/grpc/server.ts";
import type { ClientOf } from "../../api/rpc/definition.ts";
import { Echo, EchoDefinition, echoTable } from "./echo.ts";

/** See the module. Ends with everything in it when it is disposed. */
export class EchoServer implements AsyncDisposable {
  readonly echo = new Echo();
  readonly server: GrpcServer;
  readonly path: string;
  readonly #channels: GrpcChannel[] = [];

  private constructor(private readonly directory: string, options: ServerOptions) {
    this.path = `${directory}/echo.sock`;
    this.server = serve(Deno.listen({ transport: "unix", path: this.path }), echoTable(this.echo), options);
  }

  /** Starts one. */
  static async start(options: ServerOptions = {}): Promise<EchoServer> {
    return new EchoServer(await Deno.makeTempDir({ prefix: "barge-grpc-" }), options);
  }

  /** A client on a connection of its own. */
  client(metadata: Readonly<Record<string, string>> = {}): ClientOf<typeof EchoDefinition> {
    const channel = connect({ open: dialUnix(this.path), metadata });
    this.#channels.push(channel);
    return channel.client(EchoDefinition);
  }

  /** Waits until `holds` does; false when it does not within two seconds. */
  async settles(holds: () => boolean): Promise<boolean> {
    for (let waitedMs = 0; waitedMs < 2000; waitedMs += 10) {
      if (holds()) return true;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return holds();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.#channels) channel.close();
    this.server.close();
    await this.server.closed;
    await Deno.remove(this.directory, { recursive: true });
  }
}
