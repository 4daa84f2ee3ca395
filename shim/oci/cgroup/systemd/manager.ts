/**
 * A service manager, as a client of its D-Bus interface sees it (org.freedesktop.systemd1(5)).
 *
 * @module
 */
import { Failure, isFailure } from "../../../../api/errors.ts";
import { bus, Connection, within } from "../../../dbus/connection.ts";
import type { Message } from "../../../dbus/message.ts";
import { isVariant, textAt, type Value } from "../../../dbus/value.ts";
import type { ManagerAddress } from "./manager_address.ts";
import type { UnitProperty } from "./property.ts";

const manager = {
  destination: "org.freedesktop.systemd1",
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
} as const;

/** How a unit's job ended. */
type JobResult = { job: string; result: string };

/** Times that may be set for tests. */
export interface ManagerTimes {
  /** For a single answer; the manager is one process that may be reloading its configuration. */
  callMsMax?: number;
  /** For a unit's start or stop: 30 s, as runc waits. */
  jobMsMax?: number;
}

/** A connection to the service manager. */
export class ServiceManager implements Disposable {
  readonly #connection: Connection;
  readonly #jobMsMax: number;
  /** Ends of jobs that came; a job may end before the answer that names it is read. */
  readonly #ended: JobResult[] = [];
  #jobEnded = Promise.withResolvers<void>();

  private constructor(connection: Connection, jobMsMax: number) {
    this.#connection = connection;
    this.#jobMsMax = jobMsMax;
    connection.onSignal = (signal) => this.#take(signal);
  }

  /** Connects. Throws `Unavailable` or `PermissionDenied` of the first of its sockets. */
  static async connect(address: ManagerAddress, times: ManagerTimes = {}): Promise<ServiceManager> {
    const { callMsMax = 25_000, jobMsMax = 30_000 } = times;
    let first: unknown;
    for (const { path, isBus } of address.sockets) {
      try {
        const connection = await Connection.connect({ path, isBus, uid: address.uid, timeoutMs: callMsMax });
        return await new ServiceManager(connection, jobMsMax).#listen(isBus);
      } catch (error) {
        first ??= error;
      }
    }
    throw first;
  }

  /** A bus passes on only what is asked for. Who has a job of its own under way needs no subscription to its end. */
  async #listen(isBus: boolean): Promise<this> {
    if (!isBus) return this;
    const rule = `type='signal',interface='${manager.interface}',member='JobRemoved',path='${manager.path}'`;
    const member = { interface: bus.destination, member: "AddMatch" };
    await this.#connection.call({ ...bus, ...member, signature: "s", body: [rule] });
    return this;
  }

  #take({ interface: name, member, body }: Message): void {
    if (name !== manager.interface || member !== "JobRemoved") return;
    this.#ended.push({ job: textAt(body, 1), result: textAt(body, 3) });
    this.#jobEnded.resolve();
    this.#jobEnded = Promise.withResolvers();
  }

  /** The number that its version begins with. */
  async version(): Promise<number> {
    const [value] = await this.#connection.call({
      ...manager,
      interface: "org.freedesktop.DBus.Properties",
      member: "Get",
      signature: "ss",
      body: [manager.interface, "Version"],
    });
    const text = isVariant(value) ? textAt([value.value], 0) : "";
    const number = /\d+/.exec(text)?.[0];
    if (number === undefined) throw new Failure("DataLoss", `systemd's version ${JSON.stringify(text)} has no number`);
    return Number(number);
  }

  /** The manager's own cgroup, counted from the hierarchy's top; empty where that is the top. */
  async controlGroup(): Promise<string> {
    const [value] = await this.#connection.call({
      ...manager,
      interface: "org.freedesktop.DBus.Properties",
      member: "Get",
      signature: "ss",
      body: [manager.interface, "ControlGroup"],
    });
    return isVariant(value) ? textAt([value.value], 0) : "";
  }

  /**
   * Makes a unit and waits until it has begun. One of this name that has failed is forgotten first.
   *
   * Throws `AlreadyExists` for a name in use, `Aborted` where the unit does not begin, `DeadlineExceeded`.
   */
  async startTransientUnit(name: string, properties: readonly UnitProperty[]): Promise<void> {
    const pairs: Value[] = properties.map((property) => [property.name, property.value]);
    const start = () =>
      this.#job(name, "create", "StartTransientUnit", "ssa(sv)a(sa(sv))", [name, "replace", pairs, []]);
    let result: string;
    try {
      result = await start();
    } catch (error) {
      if (!isFailure(error, "AlreadyExists")) throw error;
      await this.resetFailed(name);
      result = await start();
    }
    if (result === "done") return;
    await this.resetFailed(name);
    throw new Failure("Aborted", `error creating systemd unit \`${name}\`: got \`${result}\``);
  }

  /** Stops a unit and waits until it is gone, as it is where it is not known. Throws `DeadlineExceeded`. */
  async stopUnit(name: string): Promise<void> {
    try {
      await this.#job(name, "remove", "StopUnit", "ss", [name, "replace"]);
    } catch (error) {
      if (!isFailure(error, "NotFound")) throw error;
    }
    await this.resetFailed(name);
  }

  /** Sets properties until the next start of the system. Throws as systemd answers. */
  async setUnitProperties(name: string, properties: readonly UnitProperty[]): Promise<void> {
    const pairs = properties.map((property) => [property.name, property.value]);
    const body = [name, true, pairs];
    await this.#connection.call({ ...manager, member: "SetUnitProperties", signature: "sba(sv)", body });
  }

  /** Forgets that a unit has failed, which lets systemd forget the unit. Nothing where there is none. */
  async resetFailed(name: string): Promise<void> {
    try {
      await this.#connection.call({ ...manager, member: "ResetFailedUnit", signature: "s", body: [name] });
    } catch (error) {
      if (!isFailure(error, "NotFound")) throw error;
    }
  }

  /** Calls a method that begins a job, and waits for that; gives its result. */
  async #job(unit: string, action: string, member: string, signature: string, body: readonly Value[]): Promise<string> {
    const job = textAt(await this.#connection.call({ ...manager, member, signature, body }), 0);
    try {
      return await within(
        this.#jobMsMax,
        `${action} unit`,
        Promise.race([this.#endOf(job), this.#connection.broken]),
      );
    } catch (cause) {
      if (!isFailure(cause, "DeadlineExceeded")) throw cause;
      throw new Failure("DeadlineExceeded", `Timeout waiting for systemd to ${action} ${unit}`, { cause });
    }
  }

  async #endOf(job: string): Promise<string> {
    for (;;) {
      const ended = this.#ended.find((each) => each.job === job);
      if (ended !== undefined) return ended.result;
      await this.#jobEnded.promise;
    }
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}
