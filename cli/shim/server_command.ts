/**
 * The command line of a shim's server: this program again.
 *
 * @module
 */
import { readLaunch } from "../../ffi/launch.ts";
import type { ServerCommand } from "../../shim/server/spawn_server.ts";
import type { FlagValues } from "../flags.ts";
import type { shimFlags } from "./flags.ts";
import type { StartInput } from "./start_input.ts";

/** See the module. `bundle` is the directory whose log it writes. */
export function serverCommand(
  flags: FlagValues<typeof shimFlags>,
  input: StartInput,
  socket: string,
  bundle: string,
): ServerCommand {
  const { argv0, environment } = readLaunch();
  const variables = new Map(environment);
  // What systemd tells containerd by these is not for its shims.
  for (const name of ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"]) variables.delete(name);
  variables.set("TTRPC_ADDRESS", input.ttrpcAddress);
  variables.set("BARGE_SHIM_SOCKET", socket);
  variables.set("BARGE_SHIM_BUNDLE", bundle);
  const words = [
    ...["-namespace", input.namespace, "-address", input.address, "-publish-binary", input.publishBinary],
    ...["-id", flags.id],
    ...(input.debug ? ["-debug"] : []),
  ];
  return { ...itself(argv0), words: [...itself(argv0).words, ...words], environment: variables };
}

/** The installed launcher, beside the library that Deno runs from; or Deno with the source tree's main module. */
function itself(argv0: string): Pick<ServerCommand, "program" | "words"> {
  const deno = Deno.execPath();
  if (argv0 !== "") {
    const prefix = deno.slice(0, -"/lib/barge/deno".length);
    const name = argv0.split("/").at(-1)!;
    return { program: `${prefix}/bin/barge`, words: name.startsWith("containerd-shim-") ? [name] : [name, "shim"] };
  }
  const main = new URL(Deno.mainModule).pathname;
  const config = `${main.slice(0, main.lastIndexOf("/"))}/deno.json`;
  const fixed = ["--allow-all", "--quiet", "--no-code-cache", "--config", config];
  return { program: deno, words: ["deno", "run", ...fixed, main, "shim"] };
}
