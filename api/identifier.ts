/**
 * Identifiers: names of namespaces, containers, sandboxes, tasks and execs.
 *
 * @module
 */
import { Failure } from "./errors.ts";

const identifier = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/;

/**
 * Throws `InvalidArgument`, in containerd's words, where the text is no identifier: 1 to 76 letters and digits, with
 * single `.`, `_` or `-` between them.
 */
export function checkIdentifier(text: string): void {
  const fail = (message: string) => new Failure("InvalidArgument", message);
  if (text === "") throw fail("identifier must not be empty");
  if (text.length > 76) throw fail(`identifier "${text}" greater than maximum length (76 characters)`);
  if (!identifier.test(text)) throw fail(`identifier "${text}" must match ${identifier.source}`);
}
