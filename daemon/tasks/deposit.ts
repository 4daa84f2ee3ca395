/**
 * What shims leave with the daemon for the time after their death: duplicates of their containers' pidfds, of the
 * containers' ends of their streams, and of the clients' FIFOs.
 *
 * While they are open here, the death of a shim is neither SIGPIPE nor a hang-up to its containers and no end to their
 * clients, and how a process ends can still be asked. A successor of the shim fetches them.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { removeIfThere } from "../../ffi/if_there.ts";
import { acceptForParcels, listenForParcels, receiveParcel, sendParcel } from "../../ffi/parcel.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { after } from "../../ffi/timer.ts";
import { type DepositMessage, type DepositName, depositText, parseDeposit } from "../../shim/task/deposit_message.ts";
import type { Logger } from "../log/logger.ts";

/** Parcels of one connection that are read at once: others come in between. */
const parcelsMax = 64;
/** A connection that could not be accepted for want of descriptors is tried again after this time. */
const acceptAgainMs = 1_000;

/** What is held of one container, by exec id (init's is empty) and name. */
type Held = Map<string, Map<DepositName, Descriptor>>;

interface Connection {
  readonly socket: Descriptor;
  readonly watch: Watch;
  /** Containers of which something came this way. */
  readonly keys: Set<string>;
}

/** What {@link Deposit} needs. */
export interface DepositParts {
  readonly reactor: Reactor;
  readonly log: Logger;
  /** Path of the socket; one that a killed daemon has left there is removed. */
  readonly path: string;
  /**
   * Descriptors that are held at most; what comes beyond is closed, and its containers are taken over without. Default:
   * half of what this process may have open.
   */
  readonly descriptorsMax?: number;
  /** Whether there is such a task: nothing is held for others once their shim has gone. */
  readonly isWanted: (namespace: string, container: string) => boolean;
}

const keyOf = (namespace: string, container: string) => `${namespace}/${container}`;

/** See the module. */
export class Deposit implements Disposable {
  readonly #parts: DepositParts;
  readonly #held = new Map<string, Held>();
  readonly #connections = new Set<Connection>();
  readonly #descriptorsMax: number;
  #listener: Descriptor | undefined;
  #watch: Watch | undefined;
  #count = 0;
  #hasWarned = false;

  constructor(parts: DepositParts) {
    this.#parts = parts;
    this.#descriptorsMax = parts.descriptorsMax ?? halfOfOpenFiles();
  }

  /** How many descriptors are held. */
  get count(): number {
    return this.#count;
  }

  /** Path of the socket, which is listened on from the first call on. Throws {@link SyscallError}. */
  open(): string {
    const { path } = this.#parts;
    if (this.#listener !== undefined) return path;
    removeIfThere(path);
    this.#listener = listenForParcels(path);
    this.#watchListener();
    return path;
  }

  #watchListener(): void {
    if (this.#listener === undefined) return;
    this.#watch = this.#parts.reactor.watch(this.#listener.number, flags("EPOLLIN"), () => this.#accept());
  }

  #accept(): void {
    const { reactor, log } = this.#parts;
    try {
      while (this.#listener !== undefined) {
        const accepted = acceptForParcels(this.#listener.number);
        if (accepted === undefined) return;
        if (accepted.uid === Deno.uid()) this.#add(accepted.socket);
        else accepted.socket.close();
      }
    } catch (error) {
      log.warn("cannot take what shims leave for their successors", { error });
      this.#watch?.close();
      this.#watch = after(reactor, acceptAgainMs, () => this.#watchListener());
    }
  }

  #add(socket: Descriptor): void {
    const read = () => this.#read(connection, parcelsMax);
    const watch = this.#parts.reactor.watch(socket.number, flags("EPOLLIN"), read);
    const connection: Connection = { socket, watch, keys: new Set() };
    this.#connections.add(connection);
  }

  /** Reads all that shims which have died by now have sent. */
  readAll(): void {
    this.#accept();
    for (const connection of [...this.#connections]) this.#read(connection, Infinity);
  }

  #read(connection: Connection, max: number): void {
    try {
      for (let count = 0; count < max; count++) {
        const parcel = receiveParcel(connection.socket.number);
        if (parcel === undefined) return;
        if (parcel === "end") return this.#end(connection);
        this.#take(connection, parcel.text, parcel.descriptors);
      }
    } catch (error) {
      this.#parts.log.warn("a connection on which shims leave descriptors has failed", { error: messageOf(error) });
      this.#end(connection);
    }
  }

  #end(connection: Connection): void {
    if (!this.#connections.delete(connection)) return;
    connection.watch.close();
    connection.socket.close();
    for (const key of connection.keys) {
      const [namespace = "", container = ""] = key.split("/");
      if (!this.#parts.isWanted(namespace, container)) this.release(namespace, container);
    }
  }

  #take(connection: Connection, text: string, descriptors: readonly Descriptor[]): void {
    let message: DepositMessage;
    try {
      message = parseDeposit(text);
      const expected = message.does === "keep" ? message.names.length : 0;
      if (descriptors.length !== expected) {
        throw new Failure("InvalidArgument", `${descriptors.length} descriptors came, want ${expected}`);
      }
    } catch (error) {
      for (const descriptor of descriptors) descriptor.close();
      throw error;
    }
    switch (message.does) {
      case "keep":
        return this.#keep(connection, message, descriptors);
      case "drop":
        return this.#drop(message);
      case "take":
        return this.#give(connection, message);
      case "end":
        throw new Failure("InvalidArgument", "nobody but the daemon says where its answer ends");
    }
  }

  #keep(
    connection: Connection,
    { namespace, container, process, names }: Extract<DepositMessage, { does: "keep" | "drop" }>,
    descriptors: readonly Descriptor[],
  ): void {
    const key = keyOf(namespace, container);
    connection.keys.add(key);
    const processes: Held = this.#held.get(key) ?? new Map();
    const held = processes.get(process) ?? new Map<DepositName, Descriptor>();
    const before = names.filter((name) => held.has(name)).length;
    if (this.#count + names.length - before > this.#descriptorsMax) {
      for (const descriptor of descriptors) descriptor.close();
      if (!this.#hasWarned) this.#parts.log.warn("shims leave more descriptors for their successors than can be held");
      this.#hasWarned = true;
      return;
    }
    descriptors.forEach((descriptor, index) => {
      // As many as there are names; the new one is open before the old one is closed.
      const name = names[index]!;
      const old = held.get(name);
      held.set(name, descriptor);
      old?.close();
    });
    this.#count += names.length - before;
    this.#held.set(key, processes.set(process, held));
  }

  #drop({ namespace, container, process, names }: Extract<DepositMessage, { does: "keep" | "drop" }>): void {
    const key = keyOf(namespace, container);
    const processes = this.#held.get(key);
    const held = processes?.get(process);
    if (processes === undefined || held === undefined) return;
    for (const name of names) {
      held.get(name)?.close();
      if (held.delete(name)) this.#count--;
    }
    if (held.size === 0) processes.delete(process);
    if (processes.size === 0) this.#held.delete(key);
  }

  /** What is given stays here as well, until the successor leaves its own. */
  #give({ socket }: Connection, { namespace, container }: Extract<DepositMessage, { does: "take" }>): void {
    for (const [process, held] of this.#held.get(keyOf(namespace, container)) ?? []) {
      const names = [...held.keys()], numbers = [...held.values()].map(({ number }) => number);
      const text = depositText({ does: "keep", namespace, container, process, names });
      if (!sendParcel(socket.number, text, numbers)) {
        throw new Failure("ResourceExhausted", "the successor does not read");
      }
    }
    sendParcel(socket.number, depositText({ does: "end" }), []);
  }

  /** Closes what is held of a container. */
  release(namespace: string, container: string): void {
    const key = keyOf(namespace, container);
    for (const held of this.#held.get(key)?.values() ?? []) {
      for (const descriptor of held.values()) descriptor.close();
      this.#count -= held.size;
    }
    this.#held.delete(key);
  }

  [Symbol.dispose](): void {
    for (const connection of [...this.#connections]) this.#end(connection);
    for (const key of [...this.#held.keys()]) {
      const [namespace = "", container = ""] = key.split("/");
      this.release(namespace, container);
    }
    this.#watch?.close();
    if (this.#listener === undefined) return;
    this.#listener.close();
    this.#listener = undefined;
    removeIfThere(this.#parts.path);
  }
}

/** The soft limit of open files, proc_pid_limits(5). */
function halfOfOpenFiles(): number {
  const [, soft] = /^Max open files +(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits")) ?? [];
  return Math.floor(Number(soft ?? 1024) / 2);
}
