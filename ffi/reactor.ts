/**
 * Readiness of descriptors: one epoll instance and one parked `epoll_wait`.
 *
 * Deno cannot wait for descriptors that it did not open. Its pool has 32 threads, shared with all file operations, so
 * exactly one of them waits here for everything.
 *
 * @module
 */
import { hostArch } from "./arch.ts";
import { flags } from "./constants.ts";
import { Mapping } from "./program/memory.ts";
import { call, callOnThread } from "./syscall.ts";

/** struct epoll_event is packed on x86_64 only. */
const eventSize = hostArch === "x86_64" ? 12 : 16;
const dataOffset = eventSize - 8;
const eventsAtOnce = 64;

/** A descriptor under watch. */
export interface Watch {
  /** Ends the watch. The descriptor itself stays open; end the watch before closing it. */
  close(): void;
}

interface Entry {
  fd: number;
  handler: (events: number) => void;
}

/**
 * Calls handlers when descriptors become ready; level-triggered. It waits only while something is watched. What a handler
 * throws becomes an unhandled rejection.
 */
export class Reactor implements Disposable {
  readonly #epoll: number;
  readonly #wake: number;
  readonly #entries = new Map<number, Entry>();
  #nextKey = 1;
  #running = false;
  #closed = false;

  constructor() {
    this.#epoll = call("epoll_create1", flags("O_CLOEXEC"));
    this.#wake = call("eventfd2", 0, flags("O_CLOEXEC", "O_NONBLOCK"));
    this.#control("EPOLL_CTL_ADD", this.#wake, flags("EPOLLIN"), 0);
  }

  /**
   * Calls `handler` with the ready events while any of `events` is ready. Errors and hang-ups are always reported.
   * Throws {@link SyscallError} `EPERM` for regular files, which are always ready.
   */
  watch(fd: number, events: number, handler: (events: number) => void): Watch {
    const key = this.#nextKey++;
    this.#control("EPOLL_CTL_ADD", fd, events, key);
    this.#entries.set(key, { fd, handler });
    if (!this.#running) this.#run();
    return {
      close: () => {
        if (!this.#entries.delete(key)) return;
        this.#control("EPOLL_CTL_DEL", fd, 0, 0);
        if (this.#entries.size === 0) this.#interrupt();
      },
    };
  }

  #control(operation: "EPOLL_CTL_ADD" | "EPOLL_CTL_DEL", fd: number, events: number, key: number): void {
    const event = new Uint8Array(eventSize);
    const view = new DataView(event.buffer);
    view.setUint32(0, events, true);
    view.setUint32(dataOffset, key, true);
    call("epoll_ctl", this.#epoll, flags(operation), fd, event);
  }

  #interrupt(): void {
    call("write", this.#wake, new BigUint64Array([1n]), 8);
  }

  async #run(): Promise<void> {
    this.#running = true;
    // Of its own, and not of JavaScript's heap: a worker that ends frees that, while its thread still waits here, and the
    // kernel would write the last events into what is another one's by then.
    const memory = new Mapping(eventSize * eventsAtOnce);
    const view = new DataView(memory.bytes.buffer);
    while (this.#entries.size > 0 && !this.#closed) {
      // -1 is EINTR: errno cannot be read across threads, and nothing else can happen to a valid epoll descriptor.
      const count = Math.max(0, await callOnThread("epoll_pwait", this.#epoll, memory.address, eventsAtOnce, -1, 0, 8));
      for (let index = 0; index < count; index++) {
        const ready = view.getUint32(index * eventSize, true);
        this.#handle(view.getUint32(index * eventSize + dataOffset, true), ready);
      }
    }
    memory.close();
    this.#running = false;
    if (this.#closed) this.#release();
  }

  /** What one handler throws is nobody's to catch, and must not end the readiness of all other descriptors. */
  #handle(key: number, ready: number): void {
    // Something is watched again, where the loop goes on: unread, the interruption would end every further wait at once.
    if (key === 0) call("read", this.#wake, new BigUint64Array(1), 8);
    try {
      this.#entries.get(key)?.handler(ready);
    } catch (error) {
      void Promise.reject(error);
    }
  }

  #release(): void {
    call("close", this.#epoll);
    call("close", this.#wake);
  }

  /** Ends all watches and gives the descriptors back. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#entries.clear();
    if (this.#running) this.#interrupt();
    else this.#release();
  }
}
