/**
 * The one positional argument of most commands.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Words that are wrong in number, whatever containers there are: callers get them as they stand, and the code 1. */
export class UsageFailure extends Failure {
  constructor(message: string) {
    super("InvalidArgument", message);
  }
}

/** The container's id. Throws where there is not exactly one argument, in runc's words. */
export function oneId(command: string, args: readonly string[]): string {
  if (args.length !== 1) throw new UsageFailure(`runc: "${command}" requires exactly 1 argument(s)`);
  return args[0]!;
}
