/**
 * The shim's server, started by `start` or by barge's daemon.
 *
 * @module
 */
import { readLaunch } from "../../ffi/launch.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { listenInherited, listenStream, type StreamListener } from "../../ffi/stream_listener.ts";
import { serveShim } from "../../shim/server/serve_shim.ts";
import type { ServerSubject } from "../../shim/server/server_command.ts";
import { inheritedSocket } from "../../shim/server/spawn_server.ts";
import type { FlagValues } from "../flags.ts";
import type { shimFlags } from "./flags.ts";
import { groupingOf, placesOf } from "../../shim/server/grouping.ts";

/** Serves until nobody needs the shim. Throws where there is no socket to serve on. */
export async function serveAction(flags: FlagValues<typeof shimFlags>): Promise<void> {
  const reactor = new Reactor();
  const { environment } = readLaunch();
  const inherited = environment.get("BARGE_SHIM_SOCKET");
  const socket = inherited ?? flags.socket;
  if (socket === "") throw new Error("no socket: give -socket, or start the shim by its action start");
  const listener = inherited === undefined
    ? listenStream(reactor, socket, { mode: 0o600 })
    : listenInherited(reactor, inheritedSocket);
  const { namespace, id, address, publishBinary, debug } = flags;
  await serveOn(reactor, { socket, listener }, {
    ...{ namespace, id, address, publishBinary, debug },
    bundle: environment.get("BARGE_SHIM_BUNDLE") ?? flags.bundle,
    ttrpcAddress: environment.get("TTRPC_ADDRESS") ?? "",
    grouping: groupingOf(environment.get("BARGE_SHIM_GROUP")),
    places: placesOf(environment.get("BARGE_SHIM_PLACES")),
  }, flags.debugSocket);
}

/** Serves on a socket that listens already; `deposit` is where it leaves what its successors need, see `ServeOptions`. */
export async function serveOn(
  reactor: Reactor,
  { socket, listener }: { readonly socket: string; readonly listener: StreamListener },
  subject: ServerSubject,
  debugSocket: string,
  deposit = "",
): Promise<void> {
  const { namespace, bundle, address, ttrpcAddress, publishBinary, debug, grouping, places } = subject;
  const { publishByProgram } = ttrpcAddress === "" && publishBinary !== ""
    ? await import("./publish.ts")
    : { publishByProgram: undefined };
  await serveShim(reactor, {
    namespace,
    bundle,
    listener,
    socket,
    deposit,
    ttrpcAddress,
    publish: publishByProgram?.({ program: publishBinary, address, namespace }),
    placesMax: grouping === "namespace" ? places : Infinity,
    lingers: grouping === "namespace",
    debugs: debug,
    // Beside the other one, where nobody has named it and the log is talkative as well.
    debugSocket: debugSocket === "" && debug ? `${socket}.debug` : debugSocket,
  });
}
