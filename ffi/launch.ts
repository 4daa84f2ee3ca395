/**
 * What the launcher saved before Deno started: Deno raises the limit of open files, ignores SIGPIPE, and listens to
 * variables that a caller may have set for somebody else.
 *
 * The launcher passes on, all numbers in hexadecimal:
 * - `BARGE_LAUNCH=1:SOFT:HARD:UMASK:IGNORED:BLOCKED`: version, RLIMIT_NOFILE, umask, signals ignored and blocked (bit
 *   n-1 is signal n);
 * - `BARGE_ARGV0`: the name that it was called by;
 * - `BARGE_ENV_NAME`: the caller's variable NAME, where Deno would have listened to it;
 * - `BARGE_START=NUMBER`: the descriptor that `startPipe` is, see there.
 *
 * @module
 */

/**
 * The file of a bundle that says that its container was deleted: the serialized answer to a shim's `delete`, which the
 * launcher gives by itself.
 */
export const deletedFile = "deleted";

/** The caller's side of things. */
export interface Launch {
  /** The caller's RLIMIT_NOFILE; undefined where barge was not started by its launcher. */
  nofile: { soft: bigint; hard: bigint } | undefined;
  /** The caller's umask; undefined as above. */
  umask: number | undefined;
  /** The name that barge was called by; empty as above. */
  argv0: string;
  /**
   * Of a shim that is to be started: its caller waits for another process, which ends well once a byte is written here,
   * and this one may become the server. Undefined otherwise.
   */
  startPipe: number | undefined;
  /** The caller's environment. */
  environment: ReadonlyMap<string, string>;
}

const renamed = "BARGE_ENV_";
/** Set by the launcher for Deno. */
const own = new Set(["BARGE_LAUNCH", "BARGE_ARGV0", "BARGE_START", "DENO_DIR", "DENO_NO_UPDATE_CHECK"]);

/** The launch that an environment tells of. */
export function parseLaunch(variables: Readonly<Record<string, string>>): Launch {
  const [version, soft, hard, umask] = variables["BARGE_LAUNCH"]?.split(":") ?? [];
  const known = version === "1" && soft !== undefined && hard !== undefined && umask !== undefined;
  const environment = new Map<string, string>();
  for (const [name, value] of Object.entries(variables)) {
    if (name.startsWith(renamed)) environment.set(name.slice(renamed.length), value);
    else if (!known || !own.has(name)) environment.set(name, value);
  }
  return {
    nofile: known ? { soft: BigInt(`0x${soft}`), hard: BigInt(`0x${hard}`) } : undefined,
    umask: known ? parseInt(umask, 16) : undefined,
    argv0: variables["BARGE_ARGV0"] ?? "",
    startPipe: known && variables["BARGE_START"] !== undefined ? parseInt(variables["BARGE_START"], 16) : undefined,
    environment,
  };
}

let launch: Launch | undefined;

/** The launch of this process. */
export function readLaunch(): Launch {
  return launch ??= parseLaunch(Deno.env.toObject());
}

/**
 * The caller's environment, for programs that this process starts: without what the launcher says to Deno, and with what it
 * hides from Deno.
 */
export function callersVariables(): Record<string, string> {
  return Object.fromEntries(readLaunch().environment);
}

/**
 * Sets a variable of the caller's environment, or removes it: what a process that was started ahead is told later, and what
 * programs that it starts are to see.
 */
export function setVariable(name: string, value: string | undefined): void {
  const { environment, ...rest } = readLaunch();
  const changed = new Map(environment);
  if (value === undefined) changed.delete(name);
  else changed.set(name, value);
  launch = { ...rest, environment: changed };
}
