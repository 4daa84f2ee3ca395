/**
 * The echo service in a process of its own, which can be asked for its memory: as a program, the server; as a module, the
 * way to start it.
 *
 * @module
 */
import { connect, dialUnix, type GrpcChannel } from "../../api/grpc/client.ts";
import { serve } from "../../api/grpc/server.ts";
import type { ClientOf } from "../../api/rpc/definition.ts";
import { Running } from "../command.ts";
import { bytesType, Echo, EchoDefinition, echoTable } from "./echo.ts";

/** What the server says of itself; memory in bytes, after a collection of garbage. */
export interface ChildReport {
  /** Connections, with the one that asks. */
  readonly connections: number;
  /** Calls, with the one that asks. */
  readonly calls: number;
  /** Handlers of the echo service that run. */
  readonly live: number;
  /** Those that were given up, since the start. */
  readonly abandoned: number;
  /** JavaScript's objects and the buffers behind them. */
  readonly heapBytes: number;
  /** Resident memory of the process. */
  readonly rssBytes: number;
}

const ReportDefinition = {
  name: "Report",
  fullName: "test.Report",
  methods: {
    report: {
      name: "Report",
      requestType: bytesType,
      responseType: bytesType,
      requestStream: false,
      responseStream: false,
    },
  },
} as const;

/** A server in a process of its own. */
export class EchoChild implements AsyncDisposable {
  readonly #channel: GrpcChannel;
  readonly #reports: ClientOf<typeof ReportDefinition>;

  private constructor(readonly path: string, private readonly directory: string, private readonly running: Running) {
    this.#channel = connect({ open: dialUnix(path) });
    this.#reports = this.#channel.client(ReportDefinition);
  }

  /** Starts one, and waits until it listens. */
  static async start(): Promise<EchoChild> {
    const directory = await Deno.makeTempDir({ prefix: "barge-grpc-" });
    const path = `${directory}/echo.sock`;
    const running = new Running(
      [Deno.execPath(), "run", "-A", "--no-check", "--quiet", "--v8-flags=--expose-gc", import.meta.url, path],
      { timeoutMs: 120_000 },
    );
    await running.says("listening");
    return new EchoChild(path, directory, running);
  }

  /** The echo service, over the connection that asks for reports as well. */
  echo(): ClientOf<typeof EchoDefinition> {
    return this.#channel.client(EchoDefinition);
  }

  /** Asks for a report. */
  async report(): Promise<ChildReport> {
    const bytes = await this.#reports.report(new Uint8Array(), { timeoutMs: 10_000 });
    // The program below writes exactly this.
    return JSON.parse(new TextDecoder().decode(bytes)) as ChildReport;
  }

  /** Asks until only the asking is left, at most ten seconds; gives the last report. */
  async calm(): Promise<ChildReport> {
    for (let tries = 0;; tries++) {
      const report = await this.report();
      if (tries === 100 || (report.connections === 1 && report.calls === 1 && report.live === 0)) return report;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.close();
    await this.running[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}

/** Collects garbage; there by V8's flag `--expose-gc`. */
function collectGarbage(): void {
  // Not among Deno's types, since the flag puts it there.
  (globalThis as unknown as { gc(): void }).gc();
}

if (import.meta.main) {
  const echo = new Echo();
  const table = echoTable(echo);
  table.add(ReportDefinition, {
    report: async () => {
      // What ended in this turn is garbage in the next.
      await new Promise((resolve) => setTimeout(resolve, 20));
      collectGarbage();
      collectGarbage();
      const { heapUsed, external, rss } = Deno.memoryUsage();
      const report: ChildReport = {
        connections: server.connections,
        calls: server.calls().length,
        live: echo.live,
        abandoned: echo.abandoned,
        heapBytes: heapUsed + external,
        rssBytes: rss,
      };
      return new TextEncoder().encode(JSON.stringify(report));
    },
  });
  const server = serve(Deno.listen({ transport: "unix", path: Deno.args[0]! }), table);
  console.log("listening");
}
