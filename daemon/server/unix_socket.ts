/**
 * The place of a listening unix socket: its directory, its mode and owner, and what lies there from before.
 *
 * Clients that find no file try again within milliseconds, while those that are refused wait for seconds. So a stale file
 * is removed as soon as a starting daemon knows that it is the one, long before it binds its own.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** Longest path of a socket, as containerd allows it; the kernel's limit is 107. */
const pathBytesMax = 104;
/** How long whoever answers on the path has to take a connection. */
const probeMs = 1000;
/** Everything but reading and writing by owner and group: the socket's mode is 0660 from the moment it is there. */
const socketUmask = 0o117;

/** Where a socket is to be, and whose. */
export interface SocketPlace {
  /** Absolute path. */
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Makes the place free: its directory is made where it is missing (0770, the socket's owner), and a socket that nobody
 * listens on is removed. Throws `InvalidArgument` for a path that is too long, `FailedPrecondition` where somebody
 * answers or something else than a socket lies there.
 */
export async function clearSocketPlace({ path, uid, gid }: SocketPlace): Promise<void> {
  if (!path.startsWith("/")) throw new Failure("InvalidArgument", `"${path}": want an absolute path for a unix socket`);
  if (new TextEncoder().encode(path).length > pathBytesMax) {
    throw new Failure("InvalidArgument", `"${path}": unix socket path too long (> ${pathBytesMax})`);
  }
  const directory = path.slice(0, path.lastIndexOf("/")) || "/";
  if (statusOf(directory) === undefined) {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o770 });
    // The umask took bits of the mode.
    Deno.chmodSync(directory, 0o770);
    Deno.chownSync(directory, uid, gid);
  }
  const there = statusOf(path);
  if (there === undefined) return;
  if (there.isSocket !== true) {
    throw new Failure("FailedPrecondition", `listen on "${path}": something else than a socket lies there: remove it`);
  }
  if (await answers(path)) {
    throw new Failure("FailedPrecondition", `listen on "${path}": another process answers there: stop it first`);
  }
  Deno.removeSync(path);
}

/**
 * Binds a socket at the place by the function, which must do so before it returns. Group and owner may connect; until the
 * owner is set it is the daemon's own.
 */
export function bindAt<T>({ path, uid, gid }: SocketPlace, bind: (path: string) => T): T {
  const umask = Deno.umask(socketUmask);
  let bound: T;
  try {
    bound = bind(path);
  } finally {
    Deno.umask(umask);
  }
  if (uid !== Deno.uid() || gid !== Deno.gid()) Deno.chownSync(path, uid, gid);
  return bound;
}

function statusOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether somebody listens: only a refusal says that nobody does. */
async function answers(path: string): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<true>((resolve) => timer = setTimeout(() => resolve(true), probeMs));
  const connecting = Deno.connect({ transport: "unix", path });
  // A connection that comes too late is nobody's.
  const answer = connecting.then((connection) => {
    connection.close();
    return true;
  }, (error: unknown) => !(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound));
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
