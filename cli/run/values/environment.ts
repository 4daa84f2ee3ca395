/**
 * Environment variables of `-e` and `--env-file`.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** A variable of the command line; without a value it is the caller's. */
export interface Variable {
  readonly name: string;
  readonly value?: string;
}

/** The variable of a text `NAME=VALUE` or `NAME`. Throws `InvalidArgument` where there is no name. */
export function parseVariable(text: string): Variable {
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  if (name === "") throw new Failure("InvalidArgument", "want NAME=VALUE, or NAME for the caller's value");
  return equals < 0 ? { name } : { name, value: text.slice(equals + 1) };
}

/**
 * The variables of an environment file in docker's format: one `NAME=VALUE` a line, nothing quoted or expanded, white
 * space before the name and lines with `#` skipped; a line `NAME` is the caller's value where there is one. `file` is
 * its name for the error. Throws `InvalidArgument` for a line without a name or with white space in it.
 */
export function parseEnvironmentFile(text: string, file: string): Variable[] {
  const variables: Variable[] = [];
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  lines.forEach((raw, index) => {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) return;
    const equals = line.indexOf("=");
    const name = equals < 0 ? line.trimEnd() : line.slice(0, equals);
    if (name === "" || /\s/.test(name)) {
      const what = name === "" ? "has no variable name" : `has white space in the variable name "${name}"`;
      throw new Failure("InvalidArgument", `line ${index + 1} of the environment file ${file} ${what}`);
    }
    variables.push(equals < 0 ? { name } : { name, value: line.slice(equals + 1) });
  });
  return variables;
}

/** What to change in the image's environment. */
export interface EnvironmentChange {
  /** Values by name, in order. */
  readonly set: ReadonlyMap<string, string>;
  /** Names whose caller's value was asked for and is not there: the image's is taken away, as docker does. */
  readonly unset: ReadonlySet<string>;
}

/**
 * Files first, then flags; later ones win. `caller` looks a variable of the caller up; a file's bare name without a
 * value there is skipped.
 */
export function resolveEnvironment(
  files: readonly (readonly Variable[])[],
  flags: readonly Variable[],
  caller: (name: string) => string | undefined,
): EnvironmentChange {
  const set = new Map<string, string>();
  const unset = new Set<string>();
  for (const { name, value = caller(name) } of files.flat()) {
    if (value !== undefined) set.set(name, value);
  }
  for (const { name, value = caller(name) } of flags) {
    if (value === undefined) {
      set.delete(name);
      unset.add(name);
    } else {
      set.set(name, value);
      unset.delete(name);
    }
  }
  return { set, unset };
}
