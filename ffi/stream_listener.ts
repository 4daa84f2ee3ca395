/**
 * Listening unix stream sockets by descriptor, on the reactor.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor, setNonBlocking } from "./descriptor.ts";
import { errnoNumber, SyscallError } from "./errno.ts";
import type { Reactor, Watch } from "./reactor.ts";
import { StreamSocket } from "./stream_socket.ts";
import { unixAddress } from "./stream_socket_address.ts";
import { attempt, call } from "./syscall.ts";
import { pause } from "./timer.ts";

/** Options of {@link listenStream}. What concerns the file is without meaning for abstract names. */
export interface ListenOptions {
  /** Permissions of the socket's file; set before anybody can connect. Default: what the umask leaves. */
  readonly mode?: number;
  /** Owner of the socket's file. Default: this process's. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Connections that may wait to be accepted. Default: 4096, which Linux cuts to `net.core.somaxconn`. */
  readonly backlog?: number;
}

/** Gives connections until it is closed. */
export class StreamListener implements AsyncIterable<StreamSocket>, Disposable {
  readonly #reactor: Reactor;
  readonly #descriptor: Descriptor;
  #open = true;
  #waiting: { readonly watch: Watch; readonly resolve: () => void } | undefined;

  /** Takes the descriptor over; it must be listening and non-blocking. */
  constructor(reactor: Reactor, descriptor: Descriptor) {
    this.#reactor = reactor;
    this.#descriptor = descriptor;
  }

  /** The listening socket's number, for a child that is to inherit it; it stays this object's. */
  get number(): number {
    return this.#descriptor.number;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<StreamSocket> {
    while (this.#open) {
      const socket = attempt("accept4", this.#descriptor.number, 0, 0, flags("SOCK_CLOEXEC", "SOCK_NONBLOCK"));
      if (socket >= 0) yield new StreamSocket(this.#reactor, new Descriptor(socket));
      else if (socket === -errnoNumber("EAGAIN")) await this.#readable().catch((error) => this.#wait(error));
      else if (exhausted.includes(-socket)) await pause(this.#reactor, exhaustedMs);
      else if (!passing.includes(-socket)) throw new SyscallError("accept4", -socket);
    }
  }

  #readable(): Promise<void> {
    return new Promise((resolve) => {
      const watch = this.#reactor.watch(this.#descriptor.number, flags("EPOLLIN"), () => {
        watch.close();
        this.#waiting = undefined;
        resolve();
      });
      this.#waiting = { watch, resolve };
    });
  }

  /** Where readiness cannot be watched for now, connections are looked for now and then. */
  async #wait(error: unknown): Promise<void> {
    if (!(error instanceof SyscallError) || !exhausted.includes(error.errno)) throw error;
    await pause(this.#reactor, exhaustedMs);
  }

  /** Ends the iteration and closes the socket; its file stays. Connections that were given stay as well. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#waiting?.watch.close();
    this.#waiting?.resolve();
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Errors of a connection that went before it was accepted. */
const passing = [errnoNumber("EINTR"), errnoNumber("ECONNABORTED")];
/** Errors of a process or host that has no more to give for now: the connection waits. */
const exhausted = (["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ENOSPC"] as const).map(errnoNumber);
const exhaustedMs = 50;

/**
 * Listens on a path, or on `@name` in the abstract namespace. Throws {@link SyscallError}: `EADDRINUSE` also where the
 * path is there but nobody listens, which the caller has to look at; `RangeError` for a path that is too long.
 */
export function listenStream(reactor: Reactor, name: string, options: ListenOptions = {}): StreamListener {
  const address = unixAddress(name);
  const { mode, owner, backlog = 4096 } = options;
  const kind = flags("SOCK_STREAM", "SOCK_CLOEXEC", "SOCK_NONBLOCK");
  const descriptor = new Descriptor(call("socket", flags("AF_UNIX"), kind, 0));
  try {
    const bound = attempt("bind", descriptor.number, address, address.length);
    if (bound < 0) throw new SyscallError("bind", -bound, name);
    if (!name.startsWith("@")) {
      if (mode !== undefined) call("fchmodat", flags("AT_FDCWD"), name, mode);
      if (owner !== undefined) {
        call("fchownat", flags("AT_FDCWD"), name, owner.uid, owner.gid, flags("AT_SYMLINK_NOFOLLOW"));
      }
    }
    call("listen", descriptor.number, backlog);
    return new StreamListener(reactor, descriptor);
  } catch (error) {
    descriptor.close();
    throw error;
  }
}

/**
 * Takes over a listening socket that was inherited, such as descriptor 3 of a shim. Throws `RangeError` where it does
 * not listen, {@link SyscallError} where it is no socket.
 */
export function listenInherited(reactor: Reactor, fd: number): StreamListener {
  const listening = new Int32Array(1);
  const length = new Uint32Array([listening.byteLength]);
  call("getsockopt", fd, flags("SOL_SOCKET"), flags("SO_ACCEPTCONN"), listening, length);
  if (listening[0] !== 1) throw new RangeError(`descriptor ${fd} is a socket that does not listen`);
  setNonBlocking(fd);
  return new StreamListener(reactor, new Descriptor(fd));
}
