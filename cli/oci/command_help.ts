/**
 * The help texts of the OCI runtime's commands.
 *
 * @module
 */
import { renderHelp } from "../flag_help.ts";
import { type FlagTable, parseFlags } from "../flags.ts";
import { checkpointFlags, restoreFlags } from "./checkpoint_flags.ts";
import {
  createFlags,
  deleteFlags,
  eventsFlags,
  execFlags,
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

/** The text for a command whose arguments ask for it; undefined where they do not, or where there is no such command. */
export function commandHelp(command: string, args: readonly string[]): string | undefined {
  const text = texts[command];
  if (text === undefined) return undefined;
  const [words, description, flags] = text;
  try {
    const { help } = parseFlags(flags, args, { interspersed: !endAtWord.has(command), singleDashLong: true });
    if (!help) return undefined;
  } catch {
    // The command itself says what is wrong with them.
    return undefined;
  }
  return renderHelp({ usage: `barge oci ${command} [flags] ${words}`.trimEnd(), description }, flags);
}
