/**
 * What the commands of the store have in common: flags, help, errors.
 *
 * @module
 */
import { messageOf, originalOf } from "../../api/errors.ts";
import { type HelpText, renderHelp } from "../flag_help.ts";
import { type FlagTable, type FlagValues, parseFlags } from "../flags.ts";

/** One command as a table and what it does; gives the exit code. */
export interface StoreCommand<T extends FlagTable> {
  readonly name: string;
  readonly help: HelpText;
  readonly flags: T;
  perform(flags: FlagValues<T>, args: string[]): Promise<number>;
}

/** Performs a command line; gives the exit code, 1 for every failure. */
export async function perform<const T extends FlagTable>(command: StoreCommand<T>, args: string[]): Promise<number> {
  try {
    const { flags, args: rest, help } = parseFlags(command.flags, args);
    if (help) {
      console.log(renderHelp(command.help, command.flags).trimEnd());
      return 0;
    }
    return await command.perform(flags, rest);
  } catch (thrown) {
    console.error(`barge ${command.name}: ${messageOf(originalOf(thrown))}`);
    return 1;
  }
}
