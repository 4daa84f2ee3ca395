/**
 * Finds a shim that has a place for a container, or starts one. For the `start` action, and for barge's own daemon, which
 * needs no further process for it.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import { GroupDefinition } from "../../api/gen/shim/v1/group.ts";
import { connect } from "../../api/ttrpc/client.ts";
import { isErrno } from "../../ffi/errno.ts";
import { closeFile, openAt, tryLock } from "../../ffi/files.ts";
import { flags } from "../../ffi/constants.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { listenStream, type StreamListener } from "../../ffi/stream_listener.ts";
import { connectStream } from "../../ffi/stream_socket.ts";
import { after, pause } from "../../ffi/timer.ts";
import { defaultSocketDirectory, type ShimName, shimSocketPath } from "./shim_socket.ts";

/** A shim that keeps a place for the container. */
export interface FoundShim {
  readonly found: "running";
  /** Path of its socket. */
  readonly socket: string;
  readonly pid: number;
}

/** A socket on which a new shim is to listen. */
export interface NewShim {
  readonly found: "none";
  readonly socket: string;
  /** Listens already. To be given to the server, and closed here. */
  readonly listener: StreamListener;
}

/** A shim that does not answer a call that needs no work within this time is not given a container. */
const reserveMsMax = 2_000;
/** Who makes the place free and binds holds the lock for less than a millisecond. */
const lockMsMax = 5_000;
/** Further shims of one group, where each is full. */
const shimsMax = 1_000;

/**
 * A place for the container in a running shim of the group, else a socket for a new one. A group has further shims where
 * the first are full. Throws `Unavailable` where a shim is there and does not answer, and the signal's reason.
 */
export async function reservePlace(
  reactor: Reactor,
  name: ShimName,
  id: string,
  signal: AbortSignal,
): Promise<FoundShim | NewShim> {
  for (let index = 0; index < shimsMax; index++) {
    signal.throwIfAborted();
    const socket = await shimSocketPath(index === 0 ? name : { ...name, group: `${name.group}/${index}` });
    const place = await placeAt(reactor, socket, id, name.socketDirectory ?? defaultSocketDirectory, signal);
    if (place !== "full") return place;
  }
  throw new Failure("ResourceExhausted", `all ${shimsMax} shims of the group ${name.group} are full`);
}

async function placeAt(
  reactor: Reactor,
  socket: string,
  id: string,
  directory: string,
  signal: AbortSignal,
): Promise<FoundShim | NewShim | "full"> {
  makeSocketDirectory(directory);
  for (;;) {
    const bound = bind(reactor, socket);
    if (bound !== undefined) return { found: "none", socket, listener: bound };
    const answer = await askForPlace(reactor, socket, id, signal);
    if (answer === "full") return "full";
    if (answer !== "dead") return { found: "running", socket, pid: answer };
    await removeDead(reactor, socket, directory, signal);
  }
}

function makeSocketDirectory(directory: string): void {
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
}

/** Undefined where the path is taken. */
function bind(reactor: Reactor, socket: string): StreamListener | undefined {
  try {
    return listenStream(reactor, socket, { mode: 0o600 });
  } catch (error) {
    if (isErrno(error, "EADDRINUSE")) return undefined;
    throw error;
  }
}

/** The shim's process id; `dead` where nobody listens, or who listens is just ending. */
async function askForPlace(
  reactor: Reactor,
  socket: string,
  id: string,
  signal: AbortSignal,
): Promise<number | "full" | "dead"> {
  const late = new AbortController();
  const timer = after(reactor, reserveMsMax, () => {
    late.abort(new Failure("DeadlineExceeded", `the shim at ${socket} does not answer`));
  });
  const ends = AbortSignal.any([late.signal, signal]);
  let refused = false;
  const channel = connect({
    open: async () => {
      try {
        return await connectStream(reactor, socket, ends);
      } catch (error) {
        refused = isErrno(error, "ECONNREFUSED", "ENOENT");
        throw error;
      }
    },
  });
  try {
    const { shimPid } = await channel.client(GroupDefinition).reserve({ id }, { signal: ends });
    return shimPid;
  } catch (error) {
    if (refused || isFailure(error, "Unavailable")) return "dead";
    if (isFailure(error, "ResourceExhausted") || isFailure(error, "DeadlineExceeded")) return "full";
    throw error;
  } finally {
    channel.close();
    timer.close();
  }
}

/**
 * Removes a socket that nobody listens on. Two of us could see the same dead one, and the slower remove what the quicker
 * has bound meanwhile: so it is looked at again under a lock.
 */
async function removeDead(reactor: Reactor, socket: string, directory: string, signal: AbortSignal): Promise<void> {
  const lock = openAt(flags("AT_FDCWD"), directory, flags("O_RDONLY", "O_DIRECTORY", "O_CLOEXEC"));
  try {
    for (let waitedMs = 0; !tryLock(lock, "LOCK_EX"); waitedMs += 5) {
      signal.throwIfAborted();
      if (waitedMs >= lockMsMax) throw new Failure("DeadlineExceeded", `the lock of "${directory}" is not given back`);
      await pause(reactor, 5);
    }
    try {
      (await connectStream(reactor, socket, signal)).close();
      // Somebody was quicker, or a shim is about to end: its socket goes by itself.
      await pause(reactor, 5);
    } catch (error) {
      if (!isErrno(error, "ECONNREFUSED", "ENOENT")) throw error;
      Deno.removeSync(socket);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  } finally {
    closeFile(lock);
  }
}

/** Removes the socket where nobody listens on it; one that is not there is a success. */
export async function removeDeadSocket(reactor: Reactor, socket: string): Promise<void> {
  await removeDead(reactor, socket, socket.slice(0, socket.lastIndexOf("/")), AbortSignal.timeout(lockMsMax));
}
