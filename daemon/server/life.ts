/**
 * A daemon's life: it starts, says so, serves, and ends when it is told to.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Logger } from "../log/logger.ts";
import type { RunningServer } from "./running_server.ts";
import { returnMemoryRegularly } from "./spare_memory.ts";
import { ServiceManager, takeManagerVariables } from "./service_manager.ts";
import { listenToSignals, survive } from "./signals.ts";
import { describeState, writeStateFile } from "./state_dump.ts";

/** What serves, once it does. */
export interface Daemon {
  readonly servers: readonly RunningServer[];
  /** Lengths of what waits inside, for the state dump. */
  queues(): Readonly<Record<string, number>>;
  /** Calls are refused from now on, or soon: tell those who watch. */
  announceEnd(): void;
  /** Ends everything behind the servers, which have ended. */
  close(): Promise<void>;
}

/** Options of {@link live}. */
export interface LifeOptions {
  readonly log: Logger;
  /** The process's one. */
  readonly reactor: Reactor;
  /** When the process began, by `performance.now()`. */
  readonly beganMs: number;
  /** Starts it. The signal is aborted where the process is to end before that. */
  readonly start: (signal: AbortSignal) => Promise<Daemon>;
  /** For SIGHUP. */
  readonly reopenLogs: () => void;
}

/** How long calls may take to be answered once the daemon is to end, which takes 5 s at most. */
const drainMs = 4000;

/**
 * Runs a daemon until it is told to end; gives the exit code. What fails before it serves is thrown. The second SIGTERM
 * or SIGINT ends it at once.
 */
export async function live({ log, reactor, beganMs, start, reopenLogs }: LifeOptions): Promise<number> {
  survive((what, error) =>
    log.error(what, { error: error instanceof Error ? error.stack ?? messageOf(error) : error })
  );
  const manager = new ServiceManager(
    takeManagerVariables(),
    (error) => log.warn("notify failed", { error: messageOf(error) }),
  );
  const stopping = new AbortController();
  let daemon: Daemon | undefined;
  const forget = listenToSignals(reactor, {
    stop: (signal, again) => {
      if (again) Deno.exit(1);
      log.info("received signal, stopping", { signal });
      stopping.abort(new DOMException(`stopped by ${signal}`, "AbortError"));
    },
    reopen: () => {
      reopenLogs();
      log.info("logs were opened again");
    },
    dump: () => dump(log, daemon),
  });
  try {
    daemon = await start(stopping.signal);
    manager.ready();
    // From the process's beginning, as its starter sees it.
    log.info(`containerd successfully booted in ${((performance.now() - beganMs) / 1000).toFixed(6)}s`);
    const keepMemory = returnMemoryRegularly();
    if (!stopping.signal.aborted) await new Promise((resolve) => stopping.signal.addEventListener("abort", resolve));
    keepMemory();
    manager.stopping();
    await end(daemon);
    return 0;
  } catch (error) {
    // Told to end while it started: that is what it does.
    if (error !== stopping.signal.reason || !stopping.signal.aborted) throw error;
    return 0;
  } finally {
    forget();
  }
}

async function end(daemon: Daemon): Promise<void> {
  daemon.announceEnd();
  const deadline = AbortSignal.timeout(drainMs);
  await Promise.all(daemon.servers.map((server) => server.drain(deadline)));
  await daemon.close();
}

function dump(log: Logger, daemon: Daemon | undefined): void {
  const state = describeState(daemon?.servers ?? [], daemon?.queues());
  log.info(`=== BEGIN state ===\n${state}=== END state ===`);
  try {
    log.info("state was written", { path: writeStateFile(state) });
  } catch (error) {
    log.warn("state could not be written to a file", { error: messageOf(error) });
  }
}
