/**
 * The flags of the OCI runtime's command line; names and meanings are runc's.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { FlagTable } from "../flags.ts";
import { isOrdinaryUser } from "../../shim/oci/ordinary_user.ts";
import { parseSize } from "./size.ts";

/** Where states are kept unless `--root` says otherwise; as with runc, ordinary users have a place of their own. */
export const defaultRoot: string = isOrdinaryUser()
  ? `${Deno.env.get("XDG_RUNTIME_DIR") ?? "/run"}/barge/oci`
  : "/run/barge/oci";

/** Flags before the command. */
export const globalFlags = {
  root: { kind: "value", value: "DIR", default: defaultRoot, help: "Directory of the containers' states" },
  log: { kind: "value", value: "FILE", help: "Write errors to this file as well" },
  logFormat: { kind: "choice", choices: ["text", "json"], default: "text", help: "Format of the log" },
  systemdCgroup: { kind: "boolean", help: "Let systemd make cgroups; cgroupsPath is slice:prefix:name" },
  criu: { kind: "value", value: "PROGRAM", default: "criu", help: "criu, for checkpoint and restore" },
  rootless: {
    kind: "choice",
    choices: ["true", "false", "auto"],
    default: "auto",
    help: "Go on without the right to make cgroups; auto does so for all users but root",
  },
  debug: { kind: "boolean", help: "Log each command with the time that it took" },
  version: { kind: "boolean", short: "v", help: "Print the version" },
} as const satisfies FlagTable;

/** Whether a container goes without cgroups and device rules that its user has no right to make. */
export function isRootless(flag: "true" | "false" | "auto"): boolean {
  return flag === "true" || flag === "auto" && isOrdinaryUser();
}

const bundle = {
  kind: "value",
  short: "b",
  value: "DIR",
  help: "The bundle (default: the working directory)",
} as const;
const consoleSocket = { kind: "value", value: "SOCKET", help: "Socket that receives the terminal's master" } as const;
const pidfdSocket = { kind: "value", value: "SOCKET", help: "Socket that receives a pidfd of the process" } as const;
const pidFile = { kind: "value", value: "FILE", help: "Write the process id of init to this file" } as const;

/** Flags of `create`. */
export const createFlags = {
  bundle,
  consoleSocket,
  pidfdSocket,
  pidFile,
  preserveFds: {
    kind: "value",
    value: "N",
    default: "0",
    parse: parseCount,
    help: "Pass on so many descriptors from 3 on",
  },
  noPivot: { kind: "boolean", help: "Change the root without pivot_root, for a root on a ramfs" },
  noNewKeyring: { kind: "boolean", help: "Let the container have the caller's session keyring" },
} as const satisfies FlagTable;

/** Flags of `run`. */
export const runFlags = {
  ...createFlags,
  detach: { kind: "boolean", short: "d", help: "Return when the container runs" },
  noSubreaper: { kind: "boolean", help: "Leave orphans of the container to others" },
  keep: { kind: "boolean", help: "Keep the container's state when it has stopped" },
} as const satisfies FlagTable;

/** Flags of `exec`. */
export const execFlags = {
  consoleSocket,
  pidfdSocket,
  pidFile,
  process: { kind: "value", short: "p", value: "FILE", help: "process.json with the process to run" },
  cwd: { kind: "value", value: "DIR", help: "Working directory in the container" },
  env: { kind: "list", short: "e", value: "NAME=VALUE", help: "Set a variable" },
  tty: { kind: "boolean", short: "t", help: "Give the process a terminal" },
  user: { kind: "value", short: "u", value: "UID[:GID]", parse: parseUser, help: "Run as this user" },
  additionalGids: { kind: "list", short: "g", value: "GID", parse: parseId, help: "Add a group" },
  cap: { kind: "list", short: "c", value: "NAME", help: "Add a capability" },
  preserveFds: {
    kind: "value",
    value: "N",
    default: "0",
    parse: parseCount,
    help: "Pass on so many descriptors from 3 on",
  },
  processLabel: { kind: "value", value: "LABEL", help: "Label of the process (SELinux)" },
  apparmor: { kind: "value", value: "PROFILE", help: "Profile of the process (AppArmor)" },
  noNewPrivs: { kind: "boolean", help: "Set no_new_privs" },
  detach: { kind: "boolean", short: "d", help: "Return when the process runs" },
  cgroup: {
    kind: "list",
    value: "[CONTROLLER[,CONTROLLER...]:]PATH",
    help: "Run in a cgroup below the container's",
  },
  ignorePaused: { kind: "boolean", help: "Go on in a paused container" },
} as const satisfies FlagTable;

/** Flags of `kill`. */
export const killFlags = {
  all: {
    kind: "boolean",
    short: "a",
    help: "Send it to all processes of the container; that none is left is a success",
  },
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

/** Flags of `ps`. */
export const psFlags = {
  format: { kind: "choice", short: "f", choices: ["table", "json"], default: "table", help: "Form of the list" },
} as const satisfies FlagTable;

const size = (help: string) => ({ kind: "value", value: "BYTES", parse: orNothing(parseSize), help }) as const;
const whole = (help: string) => ({ kind: "value", value: "N", parse: parseWhole, help }) as const;
const number = (help: string) => ({ kind: "value", value: "N", parse: orNothing(parseWhole), help }) as const;
const natural = (help: string) => ({ kind: "value", value: "N", parse: orNothing(parseNatural), help }) as const;
const text = (value: string, help: string) => ({ kind: "value", value, help }) as const;

/** Flags of `update`. */
export const updateFlags = {
  resources: { kind: "value", short: "r", value: "FILE", help: "JSON of linux.resources; - is standard input" },
  blkioWeight: whole("Weight of block I/O, 10 to 1000"),
  cpuPeriod: natural("Period of the CPU quota, in microseconds"),
  cpuQuota: number("CPU time in a period, in microseconds"),
  cpuBurst: natural("CPU time that may be saved up, in microseconds"),
  cpuShare: natural("Relative weight of CPU time"),
  cpuRtPeriod: natural("Period of real-time scheduling, in microseconds"),
  cpuRtRuntime: number("Real-time CPU time in a period, in microseconds"),
  cpusetCpus: text("LIST", "CPUs to use"),
  cpusetMems: text("LIST", "Memory nodes to use"),
  cpuIdle: number("1 for SCHED_IDLE"),
  memory: size("Limit of memory"),
  memoryReservation: size("Memory that is protected, or a soft limit"),
  memorySwap: size("Limit of memory and swap together; -1 for none"),
  pidsLimit: whole("Limit of processes"),
  l3CacheSchema: text("SCHEMA", "Schema of the L3 cache (Intel RDT)"),
  memBwSchema: text("SCHEMA", "Schema of memory bandwidth (Intel RDT)"),
  kernelMemory: { ...size("Has no effect"), hidden: true },
  kernelMemoryTcp: { ...size("Has no effect"), hidden: true },
} as const satisfies FlagTable;

/** Flags of `events`. */
export const eventsFlags = {
  interval: {
    kind: "value",
    value: "DURATION",
    default: "5s",
    parse: parseDuration,
    help: "Time between two statistics",
  },
  stats: { kind: "boolean", help: "Print one line of statistics and end" },
} as const satisfies FlagTable;

/** Flags of `plan`. */
export const planFlags = {
  bundle,
  json: { kind: "boolean", help: "Print the steps as JSON, for machines" },
} as const satisfies FlagTable;

/** Flags of `spec`. */
export const specFlags = {
  bundle,
  rootless: { kind: "boolean", help: "For a container of an unprivileged user" },
} as const satisfies FlagTable;

/** Ids beyond this are refused by the kernel as "no id" or wrap to root where a program reads them as signed. */
const idMax = 2 ** 31 - 1;

function parseId(text: string): number {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : idMax + 1;
  if (id > idMax) throw new Failure("InvalidArgument", `want a number up to ${idMax}`);
  return id;
}

/** More than any caller opens. */
const preservedMax = 1024;

function parseCount(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : preservedMax + 1;
  if (count > preservedMax) throw new Failure("InvalidArgument", `want a number up to ${preservedMax}`);
  return count;
}

function parseWhole(text: string): number {
  if (!/^-?\d{1,18}$/.test(text)) throw new Failure("InvalidArgument", "want a whole number");
  return Number(text);
}

function parseNatural(text: string): number {
  const number = parseWhole(text);
  if (number < 0) throw new Failure("InvalidArgument", "want a whole number of 0 or more");
  return number;
}

/** An empty text is as good as no flag: scripts pass on variables that are not set. */
function orNothing(parse: (text: string) => number): (text: string) => number | undefined {
  return (text) => text === "" ? undefined : parse(text);
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `1.5s`, `500ms`: milliseconds. */
function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const timeMs = match === null ? 0 : Number(match[1]) * unitsMs[match[2]!]!;
  if (timeMs <= 0) throw new Failure("InvalidArgument", "duration interval must be greater than 0, such as 5s");
  return timeMs;
}

function parseUser(text: string): { uid: number; gid: number | undefined } {
  const [uid, gid] = text.split(":");
  return { uid: parseId(uid ?? ""), gid: gid === undefined ? undefined : parseId(gid) };
}
