/**
 * The command line of a shim's server: this program again.
 *
 * @module
 */
import { readLaunch } from "../../ffi/launch.ts";
import type { ServerCommand } from "./spawn_server.ts";
import type { Grouping } from "./start_shim.ts";

/** What a server is told. */
export interface ServerSubject {
  readonly namespace: string;
  /** Of the container that it is started for. */
  readonly id: string;
  /** Directory of that container, whose log it writes. */
  readonly bundle: string;
  /** The daemon's gRPC address. */
  readonly address: string;
  /** The daemon's ttrpc address. */
  readonly ttrpcAddress: string;
  /** Publishes events where there is no ttrpc address. */
  readonly publishBinary: string;
  readonly debug: boolean;
  readonly grouping: Grouping;
  /** Containers that it takes at once where it holds those of a namespace. */
  readonly places: number;
}

/** See the module. `socket` is the path of the socket that the server inherits, and removes at its end. */
export function serverCommand(subject: ServerSubject, socket: string): ServerCommand {
  const { namespace, id, bundle, address, ttrpcAddress, publishBinary, debug, grouping, places } = subject;
  const { argv0, environment } = readLaunch();
  const variables = new Map(environment);
  // What systemd tells containerd by these is not for its shims.
  for (const name of ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "BARGE_ARGV0"]) variables.delete(name);
  variables.set("TTRPC_ADDRESS", ttrpcAddress);
  variables.set("BARGE_SHIM_SOCKET", socket);
  variables.set("BARGE_SHIM_BUNDLE", bundle);
  variables.set("BARGE_SHIM_GROUP", grouping);
  variables.set("BARGE_SHIM_PLACES", String(places));
  const own = itself(argv0);
  const words = [
    ...own.words,
    ...["-namespace", namespace, "-address", address, "-publish-binary", publishBinary, "-id", id],
    ...(debug ? ["-debug"] : []),
  ];
  return { program: own.program, words, environment: variables };
}

/** The installed launcher, beside the library that Deno runs from; or Deno with the source tree's main module. */
function itself(argv0: string): Pick<ServerCommand, "program" | "words"> {
  const deno = Deno.execPath();
  if (argv0 !== "") {
    const prefix = deno.slice(0, -"/lib/barge/deno".length);
    return { program: `${prefix}/bin/barge`, words: ["containerd-shim-ts-v2"] };
  }
  const main = new URL(Deno.mainModule).pathname;
  const config = `${main.slice(0, main.lastIndexOf("/"))}/deno.json`;
  const fixed = ["--allow-all", "--quiet", "--no-code-cache", "--config", config];
  return { program: deno, words: ["deno", "run", ...fixed, main, "shim"] };
}
