/**
 * The two daemons that are measured, each with a root, a state directory and a socket of its own.
 *
 * @module
 */
import { connect, dialUnix, type GrpcChannel } from "../../api/grpc/client.ts";
import { VersionDefinition } from "../../api/gen/services/version/v1/version.ts";

/** How long a daemon may take to start. */
const patienceMs = 20_000;

/** One daemon under way; disposing it ends it. */
export class Side implements AsyncDisposable {
  readonly channel: GrpcChannel;

  constructor(
    readonly kind: "barge" | "stock",
    readonly process: Deno.ChildProcess,
    readonly address: string,
    /** From the start of the process to its first answer. */
    readonly startMs: number,
  ) {
    this.channel = this.connect();
  }

  /** A connection of its own. */
  connect(): GrpcChannel {
    return connect({ open: dialUnix(this.address), metadata: { "containerd-namespace": "bench" } });
  }

  /** Its proportional share of memory, in MB. */
  pssMb(): number {
    const text = Deno.readTextFileSync(`/proc/${this.process.pid}/smaps_rollup`);
    return Number(/^Pss:\s*(\d+) kB$/m.exec(text)?.[1] ?? NaN) / 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.channel.close();
    this.process.kill("SIGTERM");
    await this.process.status;
  }
}

/** Starts a daemon whose files are below `directory`; `barge` are the words that start barge. */
export async function startSide(
  kind: "barge" | "stock",
  directory: string,
  barge: readonly string[],
): Promise<Side> {
  await Deno.mkdir(directory, { recursive: true });
  const address = `${directory}/c.sock`;
  const disabled = kind === "stock"
    ? `disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n`
    : "";
  await Deno.writeTextFile(
    `${directory}/config.toml`,
    `version = 2\nroot = "${directory}/root"\nstate = "${directory}/state"\n${disabled}` +
      `[grpc]\naddress = "${address}"\n[ttrpc]\naddress = "${address}.ttrpc"\n`,
  );
  const words = kind === "stock" ? ["containerd"] : [...barge, "daemon"];
  const script = 'log=$1; shift; exec "$@" >"$log" 2>&1';
  const begin = performance.now();
  const process = new Deno.Command("sh", {
    args: ["-c", script, "sh", `${directory}/log`, ...words, "--config", `${directory}/config.toml`],
    stdin: "null",
  }).spawn();
  while (performance.now() - begin < patienceMs) {
    try {
      using channel = connect({ open: dialUnix(address) });
      await channel.client(VersionDefinition).version({}, { timeoutMs: 1_000 });
      return new Side(kind, process, address, performance.now() - begin);
    } catch {
      // Not yet.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  process.kill("SIGKILL");
  throw new Error(`${kind} does not answer: ${await Deno.readTextFile(`${directory}/log`)}`);
}
