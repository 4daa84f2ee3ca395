/**
 * Where the main thread spends its time, as V8 samples it.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

const secondsMax = 300;

interface Inspector {
  connect(): void;
  disconnect(): void;
  post(method: string, done: (error: unknown, result?: { profile?: unknown }) => void): void;
}

let running = false;

/**
 * Samples for so many seconds (at most 300, or until the signal) and gives the profile as JSON (`.cpuprofile`, which Chrome
 * and VS Code open). One at a time: throws `Unavailable` while another runs.
 */
export async function cpuProfile(seconds: number, signal: AbortSignal): Promise<string> {
  if (running) throw new Failure("Unavailable", "a CPU profile is being taken already: try again when it is done");
  running = true;
  try {
    const { Session } = await import("node:inspector");
    // Of its overloads only this one is used.
    const session = new Session() as unknown as Inspector;
    const post = (method: string) =>
      new Promise<{ profile?: unknown }>((resolve, reject) => {
        session.post(method, (error, result = {}) => error ? reject(error) : resolve(result));
      });
    session.connect();
    try {
      await post("Profiler.enable");
      await post("Profiler.start");
      await pause(Math.min(seconds, secondsMax) * 1000, signal);
      const { profile } = await post("Profiler.stop");
      return JSON.stringify(profile);
    } finally {
      session.disconnect();
    }
  } finally {
    running = false;
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
