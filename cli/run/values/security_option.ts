/**
 * `--security-opt`.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import { parseBoolean } from "../../flags.ts";

/** One option: a seccomp profile (a file's path, `builtin` or `unconfined`), or whether privileges may grow. */
export type SecurityOption =
  | { readonly kind: "seccomp"; readonly profile: string }
  | { readonly kind: "no-new-privileges"; readonly on: boolean };

/** The option of a text such as `seccomp=profile.json`; docker's `:` for `=` is accepted. Throws `InvalidArgument`. */
export function parseSecurityOption(text: string): SecurityOption {
  const [, key, value] = /^([^=:]*)(?:[=:](.*))?$/s.exec(text) ?? [];
  if (key === "no-new-privileges") {
    const on = parseBoolean(value ?? "true");
    if (on === undefined) throw new Failure("InvalidArgument", "want true or false for no-new-privileges");
    return { kind: "no-new-privileges", on };
  }
  if (key === "seccomp" && value !== undefined && value !== "") return { kind: "seccomp", profile: value };
  throw new Failure("InvalidArgument", "want seccomp=FILE, seccomp=unconfined or no-new-privileges[=true|false]");
}
