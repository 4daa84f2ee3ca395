/**
 * The flags of the OCI runtime's command line; names and meanings are runc's.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { FlagTable } from "../flags.ts";

/** Where states are kept unless `--root` says otherwise. */
export const defaultRoot = "/run/barge/oci";

/** Flags before the command. */
export const globalFlags = {
  root: { kind: "value", value: "DIR", default: defaultRoot, help: "Directory of the containers' states" },
  log: { kind: "value", value: "FILE", help: "Write errors to this file as well" },
  logFormat: { kind: "choice", choices: ["text", "json"], default: "text", help: "Format of the log" },
  debug: { kind: "boolean", help: "Log each command with the time that it took" },
  version: { kind: "boolean", short: "v", help: "Print the version" },
} as const satisfies FlagTable;

const bundle = {
  kind: "value",
  short: "b",
  value: "DIR",
  help: "The bundle (default: the working directory)",
} as const;
const consoleSocket = { kind: "value", value: "SOCKET", help: "Socket that receives the terminal's master" } as const;
const pidFile = { kind: "value", value: "FILE", help: "Write the process id of init to this file" } as const;

/** Flags of `create`. */
export const createFlags = { bundle, consoleSocket, pidFile } as const satisfies FlagTable;

/** Flags of `run`. */
export const runFlags = {
  ...createFlags,
  detach: { kind: "boolean", short: "d", help: "Return when the container runs" },
  keep: { kind: "boolean", help: "Keep the container's state when it has stopped" },
} as const satisfies FlagTable;

/** Flags of `exec`. */
export const execFlags = {
  consoleSocket,
  pidFile,
  process: { kind: "value", short: "p", value: "FILE", help: "process.json with the process to run" },
  cwd: { kind: "value", value: "DIR", help: "Working directory in the container" },
  env: { kind: "list", short: "e", value: "NAME=VALUE", help: "Set a variable" },
  tty: { kind: "boolean", short: "t", help: "Give the process a terminal" },
  user: { kind: "value", short: "u", value: "UID[:GID]", parse: parseUser, help: "Run as this user" },
  additionalGids: { kind: "list", short: "g", value: "GID", parse: parseId, help: "Add a group" },
  cap: { kind: "list", short: "c", value: "NAME", help: "Add a capability" },
  noNewPrivs: { kind: "boolean", help: "Set no_new_privs" },
  detach: { kind: "boolean", short: "d", help: "Return when the process runs" },
  ignorePaused: { kind: "boolean", help: "Go on in a paused container" },
} as const satisfies FlagTable;

/** Flags of `kill`. */
export const killFlags = {
  all: { kind: "boolean", short: "a", hidden: true, help: "A container that does not run is a success" },
} as const satisfies FlagTable;

/** Flags of `delete`. */
export const deleteFlags = {
  force: { kind: "boolean", short: "f", help: "Kill the container first; a missing one is a success" },
} as const satisfies FlagTable;

/** Flags of `list`. */
export const listFlags = {
  format: { kind: "choice", short: "f", choices: ["table", "json"], default: "table", help: "Form of the list" },
  quiet: { kind: "boolean", short: "q", help: "Print ids only" },
} as const satisfies FlagTable;

/** Flags of `plan`. */
export const planFlags = { bundle } as const satisfies FlagTable;

/** Flags of `spec`. */
export const specFlags = { bundle } as const satisfies FlagTable;

/** Ids beyond this are refused by the kernel as "no id" or wrap to root where a program reads them as signed. */
const idMax = 2 ** 31 - 1;

function parseId(text: string): number {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : idMax + 1;
  if (id > idMax) throw new Failure("InvalidArgument", `want a number up to ${idMax}`);
  return id;
}

function parseUser(text: string): { uid: number; gid: number | undefined } {
  const [uid, gid] = text.split(":");
  return { uid: parseId(uid ?? ""), gid: gid === undefined ? undefined : parseId(gid) };
}
