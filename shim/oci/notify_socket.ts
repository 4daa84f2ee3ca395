/**
 * A container's own socket for sd_notify(3): the container says there that it is ready, and the service manager is told.
 *
 * What else a container says stays here: it could claim to be another process, or hand the manager its descriptors.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { removeIfThere } from "../../ffi/if_there.ts";
import { sendDatagram } from "../../ffi/notify_socket.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { unixAddress } from "../../ffi/stream_socket_address.ts";
import { call } from "../../ffi/syscall.ts";
import { pause } from "../../ffi/timer.ts";

/** Where the container finds the directory and, in it, the socket: runc's places. */
const mountPoint = "/run/notify";
const socketName = "notify.sock";
/** Read at a time, and messages for each turn of the event loop: a container that never stops talking must not hold it. */
const messageBytesMax = 4096;
const messagesAtOnce = 64;
/** How often a manager whose queue is full is tried again, and how long to leave it alone in between: 5 s in all. */
const [triesMax, retryMs] = [100, 50];

/** The host's side of the directory, in that of the container's state. */
export function notifyDirectory(stateDirectory: string): string {
  return `${stateDirectory}/notify`;
}

/** Adds the mount and the variable to a spec with a process; the variable counts for more than one that is there. */
export function addNotifySocket(spec: Spec, stateDirectory: string): void {
  if (spec.process === undefined) return;
  const options = ["bind", "nosuid", "noexec", "nodev", "ro"];
  const mount = { destination: mountPoint, source: notifyDirectory(stateDirectory), options };
  spec.mounts = [...spec.mounts ?? [], mount];
  spec.process.env = [...spec.process.env ?? [], `NOTIFY_SOCKET=${mountPoint}/${socketName}`];
}

/**
 * Makes the socket, which every user of the container may write to. Throws `FailedPrecondition` where the container was
 * made without the directory.
 */
export function bindNotifySocket(stateDirectory: string): Descriptor {
  const socket = new Descriptor(
    call("socket", flags("AF_UNIX"), flags("SOCK_DGRAM", "SOCK_CLOEXEC", "SOCK_NONBLOCK"), 0),
  );
  // Set before the socket has its name; a changed mode later could meet another file.
  const mask = call("umask", 0);
  try {
    using directory = openFile(notifyDirectory(stateDirectory), flags("O_PATH", "O_DIRECTORY"));
    // Paths of states may be longer than addresses of sockets.
    const path = `/proc/self/fd/${directory.number}/${socketName}`;
    // A `start` that was killed leaves its socket.
    removeIfThere(path);
    const address = unixAddress(path);
    call("bind", socket.number, address, address.length);
    return socket;
  } catch (cause) {
    socket.close();
    throw new Failure("FailedPrecondition", `make the container's notification socket: ${messageOf(cause)}`, { cause });
  } finally {
    call("umask", mask);
  }
}

/** Who is told, and of which process. */
export interface ReadyOptions {
  /** The manager's socket: `/path` or `@name`. */
  readonly host: string;
  /** The process that the manager is to watch from then on, as a process id of the host. */
  readonly mainPid: number;
  /** Aborted when the container has ended: what it said before still counts. */
  readonly ended: AbortSignal;
}

/**
 * Waits until the container says `READY=1`, and passes that on with `MAINPID`; false where it ended without a word.
 * Closes the socket. Throws `Unavailable` where the manager cannot be told.
 */
export async function forwardReady(
  reactor: Reactor,
  socket: Descriptor,
  { host, mainPid, ended }: ReadyOptions,
): Promise<boolean> {
  using _socket = socket;
  if (!await saysReady(reactor, socket.number, ended)) return false;
  try {
    await tell(reactor, host, "READY=1\n");
    await tell(reactor, host, `MAINPID=${mainPid}\n`);
  } catch (cause) {
    throw new Failure("Unavailable", `tell "${host}" that the container is ready: ${messageOf(cause)}`, { cause });
  }
  return true;
}

function saysReady(reactor: Reactor, socket: number, ended: AbortSignal): Promise<boolean> {
  const buffer = new Uint8Array(messageBytesMax);
  return new Promise((resolve) => {
    const settle = (ready: boolean): void => {
      watch.close();
      ended.removeEventListener("abort", atEnd);
      resolve(ready);
    };
    const look = (): boolean => {
      for (let messages = 0; messages < messagesAtOnce; messages++) {
        const text = receive(socket, buffer);
        if (text === undefined) return false;
        if (text.split("\n").includes("READY=1")) return true;
      }
      return false;
    };
    // The kernel's queue (net.unix.max_dgram_qlen, 10 to some hundred) holds what was said last.
    const atEnd = (): void => settle(look());
    const watch = reactor.watch(socket, flags("EPOLLIN"), () => {
      if (look()) settle(true);
    });
    ended.addEventListener("abort", atEnd);
    if (ended.aborted) atEnd();
  });
}

/** The next message, cut where it is too long; undefined where there is none. Descriptors in it are dropped. */
function receive(socket: number, buffer: Uint8Array<ArrayBuffer>): string | undefined {
  try {
    const length = call("recvfrom", socket, buffer, buffer.length, 0, 0, 0);
    return new TextDecoder().decode(buffer.subarray(0, length));
  } catch (error) {
    if (isErrno(error, "EAGAIN", "EINTR")) return undefined;
    throw error;
  }
}

/** Messages to a manager that is behind must not get lost: the service would never be ready for it. */
async function tell(reactor: Reactor, host: string, text: string): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return sendDatagram(host, text);
    } catch (error) {
      if (!isErrno(error, "EAGAIN") || tries >= triesMax) throw error;
    }
    await pause(reactor, retryMs);
  }
}
