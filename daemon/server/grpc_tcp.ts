/**
 * gRPC on a TCP address: with TLS, or on this machine's own addresses only.
 *
 * @module
 */
import { serve, type ServerOptions } from "../../api/grpc/server.ts";
import type { ServiceTable } from "../../api/rpc/definition.ts";
import { Failure } from "../../api/errors.ts";
import { patiently } from "./patient_listener.ts";
import { type RunningServer, runningServer } from "./running_server.ts";
import { isLoopback, parseTcpAddress, type TcpAddress } from "./tcp_address.ts";

/** Files of a TLS server, PEM; empty: none. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** Who signs clients' certificates. */
  readonly authority: string;
  /** Name that clients' certificates must have. */
  readonly commonName: string;
}

/**
 * Serves the table. Whoever may call may start containers as root, so without TLS only this machine's own addresses are
 * served. Throws `InvalidArgument` where that is asked for, `NotImplemented` for clients' certificates, which Deno's TLS
 * server cannot check, and `Unavailable` for an address that is taken.
 */
export function serveGrpcTcp(
  text: string,
  files: TlsFiles,
  services: ServiceTable,
  options: Pick<ServerOptions, "messageBytesMax" | "sendBytesMax" | "observe">,
  onProblem: (error: unknown) => void,
): RunningServer {
  const address = parseTcpAddress(text);
  if (files.authority !== "" || files.commonName !== "") {
    throw new Failure(
      "NotImplemented",
      "tls_ca and tls_common_name: Deno's TLS server cannot ask clients for certificates: put a proxy that can before a unix socket",
    );
  }
  const isPlain = files.certificate === "" && files.key === "";
  if (isPlain && !isLoopback(address)) {
    throw new Failure(
      "InvalidArgument",
      `listen on "${text}" without TLS: whoever reaches it would be root: set tls_cert and tls_key, or use 127.0.0.1`,
    );
  }
  const listener = isPlain ? listen(text, address) : listenTls(text, address, files);
  const engine = serve(patiently(listener, onProblem), services, {
    ...options,
    peerOf: () => ({ address: "tcp" }),
  });
  return runningServer(`${address.hostname}:${listener.addr.port}`, engine, services);
}

type TcpListener = Deno.Listener<Deno.Conn> & { readonly addr: Deno.NetAddr };

function listen(text: string, { hostname, port }: TcpAddress): TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    throw cannotListen(text, error);
  }
}

function listenTls(text: string, { hostname, port }: TcpAddress, files: TlsFiles): TcpListener {
  if (files.certificate === "" || files.key === "") {
    throw new Failure("InvalidArgument", `listen on "${text}": TLS wants both tls_cert and tls_key`);
  }
  try {
    const [cert, key] = [Deno.readTextFileSync(files.certificate), Deno.readTextFileSync(files.key)];
    return Deno.listenTls({ hostname, port, cert, key, alpnProtocols: ["h2"] });
  } catch (error) {
    throw cannotListen(text, error);
  }
}

function cannotListen(text: string, error: unknown): unknown {
  if (!(error instanceof Deno.errors.AddrInUse)) return error;
  return new Failure("Unavailable", `listen on "${text}": the address is in use`, { cause: error });
}
