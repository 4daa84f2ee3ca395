/**
 * The daemon's command line (`barge daemon`, or called as `containerd`).
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { containerdVersion, revision } from "../../api/version.ts";
import { renderHelp } from "../flag_help.ts";
import { parseFlags } from "../flags.ts";
import { daemonFlags } from "./flags.ts";

const description = "containerd in one executable. Without a command it serves containerd's API.";

/** Performs one command line; gives the exit code. */
export async function main(args: string[]): Promise<number> {
  try {
    const { flags, args: [command], help } = parseFlags(daemonFlags, args, {
      interspersed: false,
      singleDashLong: true,
    });
    if (flags.version) {
      console.log(`containerd barge ${containerdVersion} ${revision}`);
      return 0;
    }
    if (help || command !== undefined) {
      console.log(renderHelp({ usage: "barge daemon [flags] [COMMAND]", description }, daemonFlags));
      return help ? 0 : 1;
    }
    const { serveDaemon } = await import("./serve.ts");
    return await serveDaemon(flags);
  } catch (error) {
    console.error(`containerd: ${messageOf(error)}`);
    return 1;
  }
}
