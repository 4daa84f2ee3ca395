/**
 * A server of calls on one address, as the daemon handles it.
 *
 * @module
 */
import type { ServiceTable } from "../../api/rpc/definition.ts";
import type { CallInFlight } from "./call_lines.ts";
import { type Drainable, drainCalls } from "./drain.ts";

/** Listens and answers. */
export interface RunningServer {
  /** Such as `/run/containerd/containerd.sock` or `127.0.0.1:4711`. */
  readonly address: string;
  /** Open connections. */
  readonly connections: number;
  /** What is being answered, the oldest first. */
  calls(): readonly CallInFlight[];
  /** Takes nothing new; ends when what was begun is answered, at the latest when the signal is aborted. */
  drain(signal: AbortSignal): Promise<void>;
  /** Ends at once. */
  close(): void;
}

/** The engine of a protocol. */
export interface Engine extends Drainable {
  readonly connections: number;
  calls(): readonly CallInFlight[];
  close(): void;
}

/** An engine at its address. */
export function runningServer(address: string, engine: Engine, services: ServiceTable): RunningServer {
  return {
    address,
    get connections() {
      return engine.connections;
    },
    calls: () => engine.calls(),
    drain: (signal) => drainCalls(engine, services, signal),
    close: () => engine.close(),
  };
}
