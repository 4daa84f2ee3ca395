/**
 * Runs shims as programs: `start`, `delete` and `-info`, with the flags and the environment that containerd gives.
 *
 * @module
 */
import { concatBytes } from "../../api/bytes.ts";
import { Failure } from "../../api/errors.ts";
import { isOwnShim } from "./own_link.ts";
import type { Grouping } from "../../shim/server/start_shim.ts";
import { callersVariables } from "../../ffi/launch.ts";

/** What all shims of a daemon are told. */
export interface ShimSurroundings {
  /** Path of the daemon's gRPC socket. */
  readonly address: string;
  /** Path of its ttrpc socket, where events go. */
  readonly ttrpcAddress: string;
  /** Path of a program that publishes events, for shims that know no ttrpc. */
  readonly publishBinary: string;
  /** Whether the daemon's log is that talkative. */
  readonly debug: boolean;
  /** Which containers share one of barge's own shims. */
  readonly grouping: Grouping;
  /** How many of them one holds. */
  readonly places: number;
  /** `KEY=VALUE`, from the configuration. */
  readonly env: readonly string[];
}

/** Whose shim it is. */
export interface ShimSubject {
  readonly namespace: string;
  readonly id: string;
  /** The bundle: where the program runs. */
  readonly directory: string;
}

/** Whether the shim of that program decides itself when to end: barge's own waits a while for further containers. */
export function lingers(program: string): boolean {
  return isOwnShim(program);
}

/** What a program wrote. */
export interface ProgramOutput {
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** The command line, in the order in which containerd has it. */
export function shimArguments(
  { address, publishBinary, debug }: ShimSurroundings,
  { namespace, id, directory }: ShimSubject,
  action: "start" | "delete",
): string[] {
  return [
    ...["-namespace", namespace, "-address", address, "-publish-binary", publishBinary, "-id", id],
    ...(action === "delete" ? ["-bundle", directory] : []),
    ...(debug ? ["-debug"] : []),
    action,
  ];
}

/** The daemon's environment with what shims look for, without what tells barge's programs which of them they are. */
export function shimEnvironment(
  program: string,
  { address, ttrpcAddress, grouping, places, env }: ShimSurroundings,
  namespace: string,
): Record<string, string> {
  const given = env.map((pair) => {
    const at = pair.indexOf("=");
    return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
  });
  const variables: Record<string, string> = {
    ...callersVariables(),
    BARGE_SHIM_GROUP: grouping,
    BARGE_SHIM_PLACES: String(places),
    ...Object.fromEntries(given),
    MAX_SHIM_VERSION: "2",
    TTRPC_ADDRESS: ttrpcAddress,
    GRPC_ADDRESS: address,
    NAMESPACE: namespace,
    GOMAXPROCS: "2",
  };
  // Another's is told to end with each container, which must be its only one.
  if (!lingers(program)) {
    delete variables["BARGE_SHIM_GROUP"];
    delete variables["BARGE_SHIM_PLACES"];
  }
  delete variables["NOTIFY_SOCKET"];
  return variables;
}

/** A program whose output is longer has not answered what it was asked. */
const outputBytesMax = 1 << 20;

/**
 * Runs a shim to its end. Throws `Unknown` with all that it wrote where it fails, in containerd's form, and
 * `DeadlineExceeded`; a program that is too late is killed.
 */
export async function runShim(
  program: string,
  args: readonly string[],
  { directory, env, input, signal }: {
    readonly directory: string;
    readonly env: Readonly<Record<string, string>>;
    readonly input?: Uint8Array | undefined;
    readonly signal: AbortSignal;
  },
): Promise<ProgramOutput> {
  signal.throwIfAborted();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [...args],
      cwd: directory,
      env: { ...env },
      clearEnv: true,
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      // Of a group of its own: what a terminal tells the daemon is not for it.
      detached: true,
    }).spawn();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Failure("Unknown", `: fork/exec ${program}: ${error.message}`, { cause: error });
  }
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself in this very moment.
    }
  };
  signal.addEventListener("abort", kill);
  try {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const giveUp = () => reject(signal.reason);
    signal.addEventListener("abort", giveUp);
    const [stdout, stderr, status] = await Promise.race([
      Promise.all([collect(child.stdout), collect(child.stderr), child.status, feed(child, input)]),
      late,
    ]).finally(() => signal.removeEventListener("abort", giveUp));
    const text = new TextDecoder().decode(stderr);
    if (status.success) return { stdout, stderr: text };
    const how = status.signal === null ? `exit status ${status.code}` : `signal: ${status.signal}`;
    throw new Failure("Unknown", `${new TextDecoder().decode(stdout)}${text}: ${how}`);
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

async function feed(child: Deno.ChildProcess, input: Uint8Array | undefined): Promise<void> {
  if (input === undefined) return;
  try {
    const writer = child.stdin.getWriter();
    await writer.write(input);
    await writer.close();
  } catch (error) {
    // A program need not read what it is told; how it ends says whether that was right.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > outputBytesMax) continue;
    chunks.push(chunk);
  }
  if (length > outputBytesMax) throw new Failure("ResourceExhausted", `shim wrote ${length} bytes`);
  return concatBytes(chunks);
}
