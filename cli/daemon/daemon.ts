/**
 * The daemon's command line (`barge daemon`, or called as `containerd`).
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { nearestName } from "../../api/nearest_name.ts";
import { containerdVersion, revision } from "../../api/version.ts";
import { renderHelp } from "../flag_help.ts";
import { parseFlags } from "../flags.ts";
import { daemonFlags } from "./flags.ts";

const commands = ["config", "publish", "oci-hook"];
const description = "containerd in one executable. Without a command it serves containerd's API.";

/** Performs one command line; gives the exit code. */
export async function main(args: string[]): Promise<number> {
  try {
    const { flags, args: [command, ...rest], help } = parseFlags(daemonFlags, args, {
      interspersed: false,
      singleDashLong: true,
    });
    if (flags.version) {
      console.log(`containerd github.com/containerd/containerd/v2 ${containerdVersion} ${revision}`);
      return 0;
    }
    if (help) {
      console.log(renderHelp({ usage: "barge daemon [flags] [COMMAND]", description }, daemonFlags));
      return 0;
    }
    if (command !== undefined) return await perform(command, rest, flags);
    const { serveDaemon } = await import("./serve.ts");
    return await serveDaemon(flags);
  } catch (error) {
    console.error(`containerd: ${messageOf(error)}`);
    return 1;
  }
}

async function perform(
  command: string,
  args: string[],
  flags: { readonly config: string | undefined; readonly address: string | undefined },
): Promise<number> {
  if (command === "config") {
    const { configCommand } = await import("./config_command.ts");
    const encoder = new TextEncoder();
    return await configCommand(args, {
      out: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
      err: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
      config: flags.config,
    });
  }
  if (command === "publish") {
    const { publish } = await import("./publish.ts");
    return await publish(args, flags.address);
  }
  if (command === "oci-hook") {
    const { ociHook } = await import("./oci_hook.ts");
    return await ociHook(args);
  }
  const nearest = nearestName(command, commands);
  const hint = nearest === undefined ? `there is ${commands.join(", ")}` : `did you mean "${nearest}"?`;
  console.error(`containerd: "${command}" is no command: ${hint}`);
  return 3;
}
