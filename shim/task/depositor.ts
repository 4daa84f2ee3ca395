/**
 * Leaves with barge's daemon, and in the bundles, what a successor needs should this shim be killed: duplicates of pidfds,
 * of the containers' ends of their streams, and of the clients' FIFOs, which nobody then sees the end of.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import type { Descriptor } from "../../ffi/descriptor.ts";
import { connectForParcels, sendParcel } from "../../ffi/parcel.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { after } from "../../ffi/timer.ts";
import type { ShimLog } from "../server/shim_log.ts";
import type { Container } from "./container.ts";
import { type DepositName, depositText } from "./deposit_message.ts";
import type { Keeper } from "./keeper.ts";
import { ProcessRecords } from "./process_records.ts";
import type { TaskProcess } from "./task_process.ts";
import { writeTaskRecord } from "./task_record.ts";

/** What most execs do not outlive, so that nothing has to be said of them: for what changes about a container. */
const restMs = 10;

/** What was left by a dead shim: something else takes its place, or it is dropped. */
const inherited = "inherited";

/** What was left for a process. Its pidfd is the process's own, whatever number it has. */
type Left = Map<DepositName, Descriptor | TaskProcess | typeof inherited>;
type Wanted = Map<DepositName, Descriptor | TaskProcess>;

/** See the module. */
export class Depositor implements Keeper {
  readonly #left = new Map<Container, Map<string, Left>>();
  readonly #changed = new Set<Container>();
  /** Containers that something was left of, or is about to be. */
  readonly #noted = new WeakSet<Container>();
  readonly #records = new ProcessRecords();
  #socket: Descriptor | undefined;
  #timer: Watch | undefined;
  #room: Watch | undefined;

  constructor(readonly reactor: Reactor, readonly log: ShimLog) {}

  /** Leaves everything with the daemon at that socket from now on. Throws {@link SyscallError} where nobody listens. */
  connect(path: string, containers: readonly Container[]): void {
    const socket = connectForParcels(path);
    this.#disconnect();
    this.#socket = socket;
    for (const container of containers) this.changed(container);
  }

  /** The daemon has these from the dead shim that the container was taken over from. */
  inherit(container: Container, names: ReadonlyMap<string, readonly DepositName[]>): void {
    const all = new Map<string, Left>();
    for (const [execId, those] of names) all.set(execId, new Map(those.map((name) => [name, inherited])));
    this.#left.set(container, all);
    this.changed(container);
  }

  /** A daemon that is gone has nothing; the next one asks for all of it. */
  #disconnect(): void {
    this.#room?.close();
    this.#room = undefined;
    this.#socket?.close();
    this.#socket = undefined;
    this.#left.clear();
  }

  changed(container: Container): void {
    this.#changed.add(container);
    if (!this.#noted.has(container)) {
      // Nobody could take it over yet: once its creation is answered, which this is called before.
      this.#noted.add(container);
      this.#flushSoon();
    } else if (this.#timer === undefined) this.#flushAfter(restMs);
  }

  more(container: Container): void {
    this.#changed.add(container);
    this.#flushSoon();
  }

  #flushSoon(): void {
    this.#timer?.close();
    this.#flushAfter(0);
  }

  #flushAfter(timeMs: number): void {
    this.#timer = after(this.reactor, timeMs, () => {
      this.#timer = undefined;
      this.#flush();
    });
  }

  less(container: Container): void {
    if (this.#left.has(container)) this.#send(container, "drop");
  }

  gone(container: Container): void {
    this.#changed.delete(container);
    this.less(container);
    this.#left.delete(container);
  }

  #flush(): void {
    for (const container of this.#changed) {
      this.#changed.delete(container);
      try {
        writeTaskRecord(container.options.bundle, this.#records.of(container));
      } catch (error) {
        this.log.warn(`${container.options.id}: cannot note its processes: ${messageOf(error)}`);
      }
      if (!this.#send(container, "drop") || !this.#send(container, "keep")) return;
    }
  }

  /** Says what has changed of the container; false where it has to be said later. */
  #send(container: Container, does: "keep" | "drop"): boolean {
    for (const [execId, process] of container.processes()) {
      const wanted = wantedOf(process);
      const left: Left = this.#left.get(container)?.get(execId) ?? new Map();
      const names = does === "keep"
        ? [...wanted.keys()].filter((name) => left.get(name) !== wanted.get(name))
        : [...left.keys()].filter((name) => !wanted.has(name));
      if (names.length > 0 && !this.#say(container, { does, execId, names, wanted, left })) return false;
    }
    return does === "keep" || this.#dropDeleted(container);
  }

  /** Execs that were deleted are in the container no more. */
  #dropDeleted(container: Container): boolean {
    const present = new Map(container.processes());
    for (const [execId, left] of this.#left.get(container) ?? []) {
      if (present.has(execId) || left.size === 0) continue;
      const names = [...left.keys()];
      if (!this.#say(container, { does: "drop", execId, names, wanted: new Map(), left })) return false;
    }
    return true;
  }

  #say(
    container: Container,
    { does, execId, names, wanted, left }: {
      readonly does: "keep" | "drop";
      readonly execId: string;
      readonly names: readonly DepositName[];
      readonly wanted: Wanted;
      readonly left: Left;
    },
  ): boolean {
    if (this.#socket === undefined) return true;
    const { namespace, id } = container.options;
    const text = depositText({ does, namespace, container: id, process: execId, names });
    const numbers = does === "drop" ? [] : names.map((name) => numberOf(wanted.get(name)!));
    try {
      if (!sendParcel(this.#socket.number, text, numbers)) {
        this.#waitForRoom(container);
        return false;
      }
    } catch (error) {
      this.log.debug(`nothing is left with the daemon any more: ${messageOf(error)}`);
      this.#disconnect();
      return true;
    }
    for (const name of names) {
      if (does === "drop") left.delete(name);
      else left.set(name, wanted.get(name)!);
    }
    const all = this.#left.get(container) ?? new Map<string, Left>();
    this.#left.set(container, all.set(execId, left));
    return true;
  }

  /** A daemon that stands still reads nothing. */
  #waitForRoom(container: Container): void {
    this.#changed.add(container);
    this.#room ??= this.reactor.watch(this.#socket!.number, flags("EPOLLOUT"), () => {
      this.#room?.close();
      this.#room = undefined;
      this.#flush();
    });
  }
}

function wantedOf(process: TaskProcess): Wanted {
  const wanted: Wanted = new Map(process.streams?.held ?? []);
  if (process.pidfd !== undefined) wanted.set("pidfd", process);
  return wanted;
}

function numberOf(held: Descriptor | TaskProcess): number {
  // A process without a pidfd is not wanted.
  return "number" in held ? held.number : held.pidfd!;
}
