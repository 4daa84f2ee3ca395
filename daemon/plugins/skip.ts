/**
 * The way to say that a plugin has no place on this host.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** The words by which clients tell a skipped plugin from a broken one. */
const words = "skip plugin";

/** Thrown by a plugin's `init` that has nothing to do here: no such file system, no address configured. */
export class SkipPlugin extends Failure {
  constructor(reason = "", options?: ErrorOptions) {
    super("Unknown", reason === "" ? words : `${reason}: ${words}`, options);
  }
}
