/**
 * `barge run`: an image's program in a container, without a daemon.
 *
 * @module
 */
import { originalOf } from "../../api/errors.ts";
import { exitCodeOf, reportFailure } from "./exit.ts";
import { parseRun, runHelp } from "./flags.ts";
import { runContainer } from "./run_container.ts";

/** Performs the command line; gives the program's exit code, or docker's 125, 126 and 127. */
export async function main(args: string[]): Promise<number> {
  try {
    const command = parseRun(args);
    if (command === "help") {
      console.log(runHelp());
      return 0;
    }
    return await runContainer(command);
  } catch (thrown) {
    const error = originalOf(thrown);
    reportFailure(error);
    return exitCodeOf(error);
  }
}
