/**
 * The OCI runtime's command line (`barge oci`, or called as `runc`).
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { version } from "../../api/version.ts";
import { specVersion } from "../../shim/oci/spec/version.ts";
import { type FlagValues, parseFlags } from "../flags.ts";
import { renderHelp } from "../flag_help.ts";
import { kill, list, remove, spec, start, state } from "./commands.ts";
import { globalFlags } from "./flags.ts";
import { RuntimeLog } from "./log.ts";
import { UsageFailure } from "./one_id.ts";
import { create, exec, run } from "./process_commands.ts";

/**
 * What a command needs: the root of states, its own arguments, the log, and the flags of all commands. Gives text to print
 * or an exit code.
 */
type Command = (
  root: string,
  args: string[],
  log: RuntimeLog,
  global: FlagValues<typeof globalFlags> & { rootGiven: boolean },
) => Promise<string | number | void> | string | void;

/** Loaded only by those who need them: `run` is measured in milliseconds. */
const limits = () => import("./limit_commands.ts");

const commands: Readonly<Record<string, Command>> = {
  create,
  run,
  exec,
  start,
  state,
  list,
  kill,
  delete: remove,
  pause: async (root, args) => await (await limits()).pause(root, args),
  resume: async (root, args) => (await limits()).resume(root, args),
  ps: async (root, args) => await (await limits()).ps(root, args),
  update: async (root, args, log) => await (await limits()).update(root, args, log),
  events: async (root, args) => await (await import("./events.ts")).events(root, args),
  features: async () => (await import("./features.ts")).features(),
  spec: (_root, args) => spec(args),
  checkpoint: async (...given) => await (await import("./checkpoint_commands.ts")).checkpoint(...given),
  restore: async (...given) => await (await import("./checkpoint_commands.ts")).restore(...given),
  plan: async (_root, args, _log, global) => await (await import("./show_plan.ts")).showPlan(args, global),
};

/** Prefixes of error messages that callers know; exec fails with 255, everything else with 1. */
const failures: Readonly<Record<string, { prefix: string; code: number }>> = {
  create: { prefix: "runc create failed: unable to start container process: ", code: 1 },
  run: { prefix: "runc run failed: unable to start container process: ", code: 1 },
  exec: { prefix: "exec failed: unable to start container process: ", code: 255 },
};

const description = `An OCI runtime. Commands: ${Object.keys(commands).join(", ")}.`;

/** Whether it is worth a closer look. */
const maybeHelp = (word: string): boolean => word === "-h" || word === "--help" || word === "-help";

/** Performs one command line; gives the exit code. */
export async function main(args: string[]): Promise<number> {
  const begin = performance.now();
  let log = new RuntimeLog(undefined, "text", false);
  let name = "";
  try {
    const { flags, args: [command, ...rest], help, given } = parseFlags(globalFlags, args, {
      interspersed: false,
      singleDashLong: true,
    });
    if (flags.version) {
      console.log(`runc version ${version}+barge\nspec: ${specVersion}`);
      return 0;
    }
    if (!help && rest.some(maybeHelp)) {
      const { commandHelp } = await import("./command_help.ts");
      const text = commandHelp(command ?? "", rest);
      if (text !== undefined) {
        console.log(text.trimEnd());
        return 0;
      }
    }
    if (help || command === undefined || command === "help") {
      console.log(renderHelp({ usage: "barge oci [flags] COMMAND [arguments]", description }, globalFlags));
      return 0;
    }
    name = command;
    log = new RuntimeLog(flags.log, flags.logFormat, flags.debug);
    const perform = commands[command];
    if (perform === undefined) {
      throw new Failure("NotImplemented", `"${command}" is no command of this runtime; ${description}`);
    }
    const result = await perform(flags.root, rest, log, { ...flags, rootGiven: given.has("root") });
    log.debug(`${command} ${rest.join(" ")} took ${(performance.now() - begin).toFixed(1)} ms`);
    if (typeof result === "number") return result;
    if (result !== undefined) Deno.stdout.writeSync(new TextEncoder().encode(result));
    return 0;
  } catch (error) {
    const plain = { prefix: "", code: 1 };
    const { prefix, code } = error instanceof UsageFailure ? plain : failures[name] ?? plain;
    log.error(prefix + messageOf(error));
    return code;
  }
}
