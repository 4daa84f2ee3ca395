/**
 * The signals that a daemon listens to.
 *
 * @module
 */
import type { Reactor } from "../../ffi/reactor.ts";
import { listenTo } from "../../ffi/signal.ts";

/** What signals mean. */
export interface SignalActions {
  /** SIGTERM, SIGINT: end. The second time: at once. */
  stop(signal: Deno.Signal, again: boolean): void;
  /** SIGHUP: open logs again. */
  reopen(): void;
  /** SIGUSR1: write down what goes on. */
  dump(): void;
}

const SIGUSR1 = 10;

/**
 * Listens from now on; the returned function stops it. SIGPIPE is ignored by Deno itself. SIGUSR1 goes past Deno, which
 * would open its debugger.
 */
export function listenToSignals(reactor: Reactor, actions: SignalActions): () => void {
  let stops = 0;
  const listeners: [Deno.Signal, () => void][] = [
    ...(["SIGTERM", "SIGINT"] as const).map((signal): [Deno.Signal, () => void] => [
      signal,
      () => actions.stop(signal, stops++ > 0),
    ]),
    ["SIGHUP", () => actions.reopen()],
  ];
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  const forgetDump = listenTo(reactor, "SIGUSR1", SIGUSR1, () => actions.dump());
  return () => {
    forgetDump();
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  };
}

/**
 * Keeps the process alive where something was thrown that nobody waits for: one call's mistake is not to end all
 * others. `report` learns of each.
 */
export function survive(report: (what: string, error: unknown) => void): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    report("unhandled rejection", event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    report("uncaught error", event.error ?? event.message);
  });
}
