/**
 * The one positional argument of most commands.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** The container's id. Throws where there is not exactly one argument, in runc's words. */
export function oneId(command: string, args: readonly string[]): string {
  if (args.length !== 1) throw new Failure("InvalidArgument", `runc: "${command}" requires exactly 1 argument(s)`);
  return args[0]!;
}
