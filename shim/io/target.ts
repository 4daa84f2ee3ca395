/**
 * Where the bytes of a stream go: FIFOs, pipes, files, terminals, nothing.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile, setNonBlocking } from "../../ffi/descriptor.ts";
import { errnoText, isErrno } from "../../ffi/errno.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { attempt } from "../../ffi/syscall.ts";
import { FifoTarget } from "./fifo_target.ts";
import type { OutputPlan } from "./stdio_plan.ts";
import { callInTurn } from "./turns.ts";

/** The receiving end of a flow. It is open until {@link finish} or {@link close}, whichever comes first. */
export interface Target {
  readonly fd: number;
  /** How bytes get there: spliced, or, for a file with O_APPEND, written on a thread since a disk may be waited for. */
  readonly takes: "splices" | "writes";
  /** Whether epoll can tell that it takes bytes again; where not, it always does. */
  readonly watchable: boolean;
  /** The FIFO's end that writes, where it is one: while somebody holds a duplicate, no client sees the end. */
  readonly fifo?: Descriptor;
  /**
   * Where the first reader has not come yet: resolves when it has, and after that time at the latest. No byte may be given
   * before. Undefined where nobody is waited for.
   */
  whenRead?(timeMsMax: number): Promise<void> | undefined;
  /** Everything was given: the other side sees the end once it has read it. */
  finish(): void;
  /** Gives the descriptors back now. */
  close(): void;
}

/** The target of a descriptor that is closed at the end: a pipe (or a terminal), made non-blocking. */
export function pipeTarget(end: Descriptor): Target {
  setNonBlocking(end.number);
  const close = (): void => end.close();
  return { fd: end.number, takes: "splices", watchable: true, finish: close, close };
}

/** Ctrl-D: what a terminal's programs read as the end of their input, unless they have asked for every key. */
const endOfInput = new Uint8Array([4]);

/** What is typed on a terminal. Its end is typed as well: closing the master would hang up on the programs. */
export function terminalTarget(master: Descriptor): Target {
  const close = (): void => master.close();
  const finish = (): void => {
    // A terminal that is gone, or full of what nobody reads, has no use for it.
    attempt("write", master.number, endOfInput, endOfInput.length);
    close();
  };
  return { fd: master.number, takes: "splices", watchable: true, finish, close };
}

/** Takes everything and keeps nothing. */
export function nullTarget(): Target {
  const end = openFile("/dev/null", flags("O_WRONLY"));
  const close = (): void => end.close();
  return { fd: end.number, takes: "splices", watchable: false, finish: close, close };
}

/**
 * Opens what the plan names. `awaitsReader` says that a FIFO's first reader may still be on its way, see
 * {@link Target.whenRead}. Throws `Unknown` with containerd's wording.
 */
export async function openTarget(reactor: Reactor, plan: OutputPlan, awaitsReader: boolean): Promise<Target> {
  const { path } = plan;
  try {
    // A FIFO lies where clients make it, in memory; a file may lie on a server that does not answer.
    const kind = plan.kind === "file" ? await kindOfFile(path) : kindOf(path);
    if (kind === "fifo") return new FifoTarget(reactor, path, awaitsReader);
    if (kind === "device") {
      const end = openFile(path, flags("O_WRONLY", "O_NONBLOCK", "O_NOCTTY"));
      const close = (): void => end.close();
      return { fd: end.number, takes: "splices", watchable: canBeWatched(reactor, end), finish: close, close };
    }
    const end = await openToAppend(path, plan.kind === "file");
    const close = (): void => end.close();
    return { fd: end.number, takes: "writes", watchable: false, finish: close, close };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new Failure(
      "Unknown",
      `containerd-shim: opening file ${JSON.stringify(path)} failed: ${reason(error, path)}`,
      {
        cause: error,
      },
    );
  }
}

/** What Go says of a failed open. */
export function reason(error: Error, path: string): string {
  return "errno" in error && typeof error.errno === "number"
    ? `open ${path}: ${errnoText(Number(error.errno))}`
    : error.message;
}

type Kind = "fifo" | "device" | "file";

function kindOf(path: string): Kind {
  try {
    return kindIn(Deno.statSync(path));
  } catch (error) {
    return kindOfMissing(error);
  }
}

/** Makes the directories as well. */
async function kindOfFile(path: string): Promise<Kind> {
  const end = path.lastIndexOf("/");
  if (end > 0) await Deno.mkdir(path.slice(0, end), { recursive: true, mode: 0o755 });
  return await Deno.stat(path).then(kindIn, kindOfMissing);
}

function kindIn({ isFifo, isCharDevice }: Deno.FileInfo): Kind {
  return isFifo ? "fifo" : isCharDevice ? "device" : "file";
}

/** What is not there is a file that is to be made, or whose open will say so. */
function kindOfMissing(error: unknown): "file" {
  if (error instanceof Deno.errors.NotFound) return "file";
  throw error;
}

/** On a thread, which may wait. */
async function openToAppend(path: string, make: boolean): Promise<Descriptor> {
  const wanted = flags("O_WRONLY", "O_APPEND", "O_NOCTTY", ...(make ? ["O_CREAT" as const] : []));
  const fd = await callInTurn("openat", flags("AT_FDCWD"), path, wanted | flags("O_CLOEXEC"), 0o644);
  // What failed there fails here as well, and says why.
  return fd >= 0 ? new Descriptor(fd) : openFile(path, wanted, 0o644);
}

/** Whether epoll knows when the descriptor is ready; files and /dev/null it refuses, for they always are. */
export function canBeWatched(reactor: Reactor, end: Descriptor): boolean {
  try {
    reactor.watch(end.number, flags("EPOLLOUT"), () => {}).close();
    return true;
  } catch (error) {
    if (isErrno(error, "EPERM")) return false;
    throw error;
  }
}
