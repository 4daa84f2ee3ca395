/**
 * The help texts of the OCI runtime and of its commands.
 *
 * @module
 */
import { renderHelp } from "../flag_help.ts";
import { type FlagTable, parseFlags } from "../flags.ts";
import { columns, renderRuncHelp } from "./runc_help.ts";
import { checkpointFlags, restoreFlags } from "./checkpoint_flags.ts";
import {
  createFlags,
  deleteFlags,
  eventsFlags,
  execFlags,
  globalFlags,
  killFlags,
  listFlags,
  planFlags,
  psFlags,
  runFlags,
  specFlags,
  updateFlags,
} from "./flags.ts";

/** Command → its arguments, what it does, and its flags. */
const texts: Readonly<Record<string, readonly [words: string, description: string, flags: FlagTable]>> = {
  checkpoint: ["ID", "Saves a running container with criu.", checkpointFlags],
  create: ["ID", "Creates a container from a bundle; its command waits for the start.", createFlags],
  delete: ["ID", "Deletes a container that has stopped or was never started.", deleteFlags],
  events: ["ID", "Prints what a container uses, and when memory runs out, as lines of JSON.", eventsFlags],
  exec: ["ID COMMAND [ARG...]", "Runs a further process in a container.", execFlags],
  features: ["", "Prints what this runtime supports, as JSON.", {}],
  kill: ["ID [SIGNAL]", "Sends a signal (TERM unless another is given) to a container's first process.", killFlags],
  list: ["", "Lists the containers of the state directory.", listFlags],
  pause: ["ID", "Stops all processes of a container until it is resumed.", {}],
  plan: ["[BUNDLE]", "Prints what a start of the bundle would do, step by step, and does nothing.", planFlags],
  ps: ["ID [ARGUMENTS OF ps]", "Lists the processes of a container.", psFlags],
  restore: ["ID", "Makes a container again from what checkpoint has saved.", restoreFlags],
  resume: ["ID", "Lets the processes of a paused container go on.", {}],
  run: ["ID", "Creates and starts a container, and waits for its end.", runFlags],
  spec: ["", "Writes a config.json that runs a shell.", specFlags],
  start: ["ID", "Starts the command of a created container.", {}],
  state: ["ID", "Prints the state of a container, as JSON.", {}],
  update: ["ID", "Changes the limits of a container.", updateFlags],
};

/** Commands whose flags end at the first other word: what follows may be a command's own. */
const endAtWord: ReadonlySet<string> = new Set(["exec", "kill", "ps"]);

/** The name that the runtime was called by; help has runc's layout under its name. */
export type ProgramName = "barge oci" | "runc";

/** The text for a command whose arguments ask for it; undefined where they do not, or where there is no such command. */
export function commandHelp(command: string, args: readonly string[], program: ProgramName): string | undefined {
  const text = textOf(command);
  if (text === undefined) return undefined;
  try {
    const { help } = parseFlags(text[2], args, { interspersed: !endAtWord.has(command), singleDashLong: true });
    return help ? helpOf(command, program) : undefined;
  } catch {
    // The command itself says what is wrong with them.
    return undefined;
  }
}

function textOf(command: string) {
  return Object.hasOwn(texts, command) ? texts[command] : undefined;
}

/** The text for a command; undefined where there is no such one. */
export function helpOf(command: string, program: ProgramName): string | undefined {
  const text = textOf(command);
  if (text === undefined) return undefined;
  const [words, description, flags] = text;
  if (program !== "runc") {
    return renderHelp({ usage: `barge oci ${command} [flags] ${words}`.trimEnd(), description }, flags);
  }
  const about = description.charAt(0).toLowerCase() + description.slice(1).replace(/\.$/, "");
  return renderRuncHelp({
    name: `runc ${command} - ${about}`,
    usage: `runc ${command} [command options] ${words.replace(/^ID/, "<container-id>")}`.trimEnd(),
    parts: [["DESCRIPTION", [description]]],
    flags: "OPTIONS",
  }, flags);
}

/** The text for the runtime as a whole. */
export function globalHelp(program: ProgramName, versions: readonly string[]): string {
  if (program !== "runc") {
    const description = `An OCI runtime. Commands: ${Object.keys(texts).join(", ")}.`;
    return renderHelp({ usage: "barge oci [flags] COMMAND [arguments]", description }, globalFlags);
  }
  return renderRuncHelp({
    name: "runc - Open Container Initiative runtime",
    usage: "runc [global options] command [command options] [arguments...]",
    parts: [
      ["VERSION", versions],
      ["COMMANDS", columns(Object.entries(texts).map(([name, [, description]]) => [name, description]))],
    ],
    flags: "GLOBAL OPTIONS",
  }, globalFlags);
}
