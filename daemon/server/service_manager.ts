/**
 * The service manager (systemd) as seen by the daemon: it is told when the daemon serves and when it ends, and, where it
 * watches, that the daemon is alive.
 *
 * @module
 */
import { sendDatagram } from "../../ffi/notify_socket.ts";
import { setVariable } from "../../ffi/launch.ts";

/** Where a manager is, by the variables of sd_notify(3) and sd_watchdog_enabled(3). */
export interface ManagerVariables {
  /** NOTIFY_SOCKET. */
  readonly socket: string | undefined;
  /** Time within which the manager wants a sign, in milliseconds; undefined where it does not watch this process. */
  readonly watchdogMs: number | undefined;
}

/** Takes the variables out of the environment: they are for this process, and not for the shims that it starts. */
export function takeManagerVariables(): ManagerVariables {
  const take = (name: string) => {
    const value = Deno.env.get(name);
    if (value !== undefined) {
      Deno.env.delete(name);
      setVariable(name, undefined);
    }
    return value === "" ? undefined : value;
  };
  const socket = take("NOTIFY_SOCKET");
  const usec = Number(take("WATCHDOG_USEC"));
  const pid = take("WATCHDOG_PID");
  const isWatched = Number.isSafeInteger(usec) && usec > 0 && (pid === undefined || pid === String(Deno.pid));
  return { socket, watchdogMs: isWatched ? usec / 1000 : undefined };
}

/** Tells the manager. Where there is none, nothing is told; where it cannot be told, `onProblem` learns why. */
export class ServiceManager {
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(readonly variables: ManagerVariables, readonly onProblem: (error: unknown) => void) {}

  /** The daemon serves. From now on the manager gets its signs of life, twice as often as it wants them. */
  ready(): void {
    this.#send("READY=1");
    const { socket, watchdogMs } = this.variables;
    if (socket === undefined || watchdogMs === undefined) return;
    const timer = setInterval(() => this.#send("WATCHDOG=1"), watchdogMs / 2);
    // It must not keep a process alive that has nothing else to do.
    Deno.unrefTimer(timer);
    this.#timer = timer;
  }

  /** The daemon has begun to end. */
  stopping(): void {
    clearInterval(this.#timer);
    this.#send("STOPPING=1");
  }

  #send(text: string): void {
    if (this.variables.socket === undefined) return;
    try {
      sendDatagram(this.variables.socket, text);
    } catch (error) {
      this.onProblem(error);
    }
  }
}
