/**
 * What the stdio fields of containerd's API ask for, as data.
 *
 * The scheme of `stdout` alone decides (containerd's runc shim does the same): none or `fifo`, and all three are paths;
 * `file`, and both outputs go to that file; `binary`, and both go to one logging program. With a terminal there is one
 * output, and `stderr` is not looked at.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** The fields as the API has them; empty means none. */
export interface StdioFields {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** Where an output goes. */
export type OutputPlan =
  /** To a FIFO, or to the end of a file or device that exists. */
  | { readonly kind: "path"; readonly path: string }
  /** To the end of a file that is made, with its directories, where it is missing. */
  | { readonly kind: "file"; readonly path: string };

/** A program that reads the outputs. */
export interface LoggerPlan {
  readonly path: string;
  readonly args: readonly string[];
  /** Whether it must say that it is ready (`binary-v2`); else it may also just close the pipe (`binary`). */
  readonly saysReady: boolean;
}

/** What is to be opened. A stream that is missing is /dev/null. */
export interface StdioPlan {
  readonly stdin?: string;
  readonly stdout?: OutputPlan;
  readonly stderr?: OutputPlan;
  /** Takes the place of both outputs. */
  readonly logger?: LoggerPlan;
}

interface Parsed {
  scheme: string;
  path: string;
  query: string;
}

/** The parts that matter of a URI; a text without scheme is a path as it stands. */
function parseUri(text: string): Parsed {
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) return { scheme: "", path: text, query: "" };
  const [, path = "", query = ""] = /^(?:\/\/[^/?#]*)?([^?#]*)(?:\?([^#]*))?/s.exec(rest) ?? [];
  try {
    return { scheme: scheme.toLowerCase(), path: decodeURIComponent(path), query };
  } catch (error) {
    throw new Failure("Unknown", `unable to parse stdout uri: parse ${JSON.stringify(text)}: invalid URL escape`, {
      cause: error,
    });
  }
}

/** Each key once, in their order, each followed by its first value, which may be empty. */
function argumentsOf(query: string): string[] {
  const first = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(query)) if (!first.has(key)) first.set(key, value);
  return [...first].flat();
}

/** The path of an output that is given as a path or as `fifo://`. */
function pathOf(text: string): string {
  const { scheme, path } = parseUri(text);
  return scheme === "fifo" ? path : text;
}

/** Reads the fields. Throws `Unknown` with containerd's text for a scheme that there is not. */
export function planStdio(fields: StdioFields): StdioPlan {
  const { scheme, path, query } = parseUri(fields.stdout);
  const stdin = fields.stdin === "" ? {} : { stdin: fields.stdin };
  switch (scheme) {
    case "":
    case "fifo":
      return {
        ...stdin,
        ...(fields.stdout === "" ? {} : { stdout: { kind: "path", path } }),
        ...(fields.stderr === "" || fields.terminal ? {} : { stderr: { kind: "path", path: pathOf(fields.stderr) } }),
      };
    case "file": {
      const output: OutputPlan = { kind: "file", path };
      return { ...stdin, stdout: output, ...(fields.terminal ? {} : { stderr: output }) };
    }
    case "binary":
    case "binary-v2":
      return { ...stdin, logger: { path, args: argumentsOf(query), saysReady: scheme === "binary-v2" } };
    default:
      throw new Failure("Unknown", `unknown STDIO scheme ${scheme}`);
  }
}
