/**
 * The OCI runtime's command line (`barge oci`, or called as `runc`).
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { revision, version } from "../../api/version.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { specVersion } from "../../shim/oci/spec/version.ts";
import { type FlagValues, parseFlags } from "../flags.ts";
import { kill, list, remove, spec, start, state } from "./commands.ts";
import { globalFlags } from "./flags.ts";
import { RuntimeLog } from "./log.ts";
import { UsageFailure } from "./one_id.ts";
import type { ProgramName } from "./command_help.ts";
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

/** What callers of `--version` look for, one a line: the program and its version, a commit, the specification's version. */
const versionLines: readonly string[] = [
  `runc version ${version}+barge`,
  `commit: ${revision}`,
  `spec: ${specVersion}`,
];

/** Loaded only by those who need it. */
const helps = () => import("./command_help.ts");

/** The name that this program was called by. */
const programName = (): ProgramName => readLaunch().argv0.split("/").at(-1) === "runc" ? "runc" : "barge oci";

/** Whether it is worth a closer look. */
const maybeHelp = (word: string): boolean => word === "-h" || word === "--help" || word === "-help";

/** A command that there is not; in runc's words, and with its exit code. */
class NoTopicFailure extends Failure {
  constructor(command: string) {
    super("NotImplemented", `No help topic for '${command}'`);
  }
}
const noTopicCode = 3;

const isHelp = (word: string): boolean => word === "help" || word === "h";

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
      console.log(versionLines.join("\n"));
      return 0;
    }
    if (!help && rest.some(maybeHelp)) {
      const text = (await helps()).commandHelp(command ?? "", rest, programName());
      if (text !== undefined) {
        console.log(text.trimEnd());
        return 0;
      }
    }
    if (help || command === undefined || isHelp(command)) {
      const { globalHelp, helpOf } = await helps();
      const [topic] = command !== undefined && isHelp(command) ? rest : [];
      const text = topic === undefined || isHelp(topic) || maybeHelp(topic)
        ? globalHelp(programName(), versionLines)
        : helpOf(topic, programName());
      if (text === undefined) throw new NoTopicFailure(topic!);
      console.log(text.trimEnd());
      return 0;
    }
    name = command;
    log = new RuntimeLog(flags.log, flags.logFormat, flags.debug);
    const perform = Object.hasOwn(commands, command) ? commands[command] : undefined;
    if (perform === undefined) throw new NoTopicFailure(command);
    const result = await perform(flags.root, rest, log, { ...flags, rootGiven: given.has("root") });
    log.debug(`${command} ${rest.join(" ")} took ${(performance.now() - begin).toFixed(1)} ms`);
    if (typeof result === "number") return result;
    if (result !== undefined) Deno.stdout.writeSync(new TextEncoder().encode(result));
    return 0;
  } catch (error) {
    const plain = { prefix: "", code: 1 };
    if (error instanceof NoTopicFailure) {
      log.error(error.message);
      return noTopicCode;
    }
    if (error instanceof UsageFailure && programName() === "runc") {
      console.log(`Incorrect Usage.\n\n${(await helps()).helpOf(name, "runc")}`);
    }
    const { prefix, code } = error instanceof UsageFailure ? plain : failures[name] ?? plain;
    log.error(prefix + messageOf(error));
    return code;
  }
}
