/**
 * Connected unix stream sockets by descriptor, on the reactor.
 *
 * Deno's own sockets do not tell who the peer is, and cannot be made from a descriptor that was inherited. These can,
 * and need no thread of Deno's pool for themselves: whatever waits, waits in the reactor's one call.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor } from "./descriptor.ts";
import { errnoNumber, SyscallError } from "./errno.ts";
import type { Reactor, Watch } from "./reactor.ts";
import { unixAddress } from "./stream_socket_address.ts";
import { attempt, call } from "./syscall.ts";
import { pause } from "./timer.ts";

/** Who is at the other end, as the kernel noted it when the connection was made. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** A read or write that waits. `attempt` gives its result, or undefined where there is still none. */
interface Waiter {
  readonly attempt: () => number | undefined;
  readonly resolve: (count: number) => void;
  readonly reject: (error: unknown) => void;
}

const again = -errnoNumber("EAGAIN");
const interrupted = -errnoNumber("EINTR");

/** A connected socket with reads and writes that wait; one reader and one writer at a time. */
export class StreamSocket implements Disposable {
  readonly #descriptor: Descriptor;
  readonly #reactor: Reactor;
  #reader: Waiter | undefined;
  #writer: Waiter | undefined;
  #watch: Watch | undefined;
  #watched = 0;
  #open = true;

  /** Takes the descriptor over; it must be non-blocking. */
  constructor(reactor: Reactor, descriptor: Descriptor) {
    this.#reactor = reactor;
    this.#descriptor = descriptor;
  }

  /** The peer's process and owner. They are those of the connect, and stay when the process ends. */
  credentials(): PeerCredentials {
    const found = new Int32Array(3);
    const length = new Uint32Array([found.byteLength]);
    call("getsockopt", this.#number(), flags("SOL_SOCKET"), flags("SO_PEERCRED"), found, length);
    return { pid: found[0]!, uid: found[1]! >>> 0, gid: found[2]! >>> 0 };
  }

  /**
   * Reads at least one byte and says how many; null at the end. Throws {@link SyscallError}, and
   * `Deno.errors.BadResource` once the socket is closed.
   */
  async read(into: Uint8Array): Promise<number | null> {
    if (this.#reader !== undefined) throw new Error("a read waits already");
    const buffer = addressable(into);
    const once = () => this.#result("read", attempt("read", this.#number(), buffer, buffer.length));
    const count = once() ?? await this.#wait((waiter) => this.#reader = waiter, once);
    return count === 0 && into.length > 0 ? null : count;
  }

  /** Writes at least one byte and says how many. Throws as {@link read} does; `EPIPE` where the peer is gone. */
  async write(bytes: Uint8Array): Promise<number> {
    if (this.#writer !== undefined) throw new Error("a write waits already");
    if (bytes.length === 0) return 0;
    const buffer = addressable(bytes);
    const silent = flags("MSG_NOSIGNAL");
    const once = () => this.#result("sendto", attempt("sendto", this.#number(), buffer, buffer.length, silent, 0, 0));
    return once() ?? await this.#wait((waiter) => this.#writer = waiter, once);
  }

  #number(): number {
    if (!this.#open) throw new Deno.errors.BadResource("the socket is closed");
    return this.#descriptor.number;
  }

  /** The count, or undefined where the call has to wait. */
  #result(name: string, result: number): number | undefined {
    if (result >= 0) return result;
    if (result === again || result === interrupted) return undefined;
    throw new SyscallError(name, -result);
  }

  #wait(keep: (waiter: Waiter) => void, once: () => number | undefined): Promise<number> {
    return new Promise((resolve, reject) => {
      keep({ attempt: once, resolve, reject });
      this.#update();
    });
  }

  /** Watches for what is waited for. The watch for input stays when a read is done: the next one comes at once. */
  #update(): void {
    const wanted = (this.#reader === undefined ? 0 : flags("EPOLLIN")) |
      (this.#writer === undefined ? 0 : flags("EPOLLOUT"));
    if (wanted === this.#watched) return;
    this.#watch?.close();
    this.#watch = undefined;
    this.#watched = 0;
    if (wanted === 0) return;
    try {
      this.#watch = this.#reactor.watch(this.#descriptor.number, wanted, () => this.#ready());
      this.#watched = wanted;
    } catch (error) {
      // Nobody would tell of what they wait for.
      this.#fail(error);
    }
  }

  #fail(reason: unknown): void {
    this.#reader?.reject(reason);
    this.#writer?.reject(reason);
    this.#reader = this.#writer = undefined;
  }

  /** What waits is tried here and not in its own turn, or the reactor would report the same readiness again. */
  #ready(): void {
    const reader = this.#reader, writer = this.#writer;
    if (reader !== undefined && settle(reader)) this.#reader = undefined;
    if (writer !== undefined && settle(writer)) this.#writer = undefined;
    // Without a change the watch stays for the reader that is about to come; a second report finds nobody and ends it.
    if (reader === undefined || writer !== undefined) this.#update();
  }

  /** Closes it; reads and writes that wait fail. A second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#watch?.close();
    this.#descriptor.close();
    this.#fail(new Deno.errors.BadResource("the socket is closed"));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function settle(waiter: Waiter): boolean {
  try {
    const count = waiter.attempt();
    if (count === undefined) return false;
    waiter.resolve(count);
  } catch (error) {
    waiter.reject(error);
  }
  return true;
}

function addressable(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  // Every buffer that is read or written here is an ordinary one; a shared one would be refused by the call itself.
  return bytes as Uint8Array<ArrayBuffer>;
}

/** Pause before a socket whose queue of connections is full is tried again. */
const retryMs = 5;

/**
 * Connects to a path, or to `@name`. While the other side's queue of connections is full it tries again, until the
 * signal is aborted. Throws {@link SyscallError} (`ENOENT`, `ECONNREFUSED`), `RangeError` for a path that is too long.
 */
export async function connectStream(reactor: Reactor, name: string, signal: AbortSignal): Promise<StreamSocket> {
  const address = unixAddress(name);
  for (;;) {
    signal.throwIfAborted();
    const kind = flags("SOCK_STREAM", "SOCK_CLOEXEC", "SOCK_NONBLOCK");
    const descriptor = new Descriptor(call("socket", flags("AF_UNIX"), kind, 0));
    const result = attempt("connect", descriptor.number, address, address.length);
    if (result >= 0) return new StreamSocket(reactor, descriptor);
    descriptor.close();
    if (result !== again && result !== interrupted) throw new SyscallError("connect", -result, name);
    await pause(reactor, retryMs);
  }
}
