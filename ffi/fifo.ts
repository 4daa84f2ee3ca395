/**
 * FIFOs: making them, and opening them so that nobody has to be waited for.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor, openFile } from "./descriptor.ts";
import { isErrno } from "./errno.ts";
import { readyNow } from "./splice.ts";
import { call } from "./syscall.ts";

/** Makes a FIFO. The umask applies. Throws {@link SyscallError}, `EEXIST` where something has the name. */
export function makeFifo(path: string, mode: number): void {
  call("mknodat", flags("AT_FDCWD"), path, flags("S_IFIFO") | mode, 0);
}

/** A FIFO opened twice: whoever else opens or leaves it, this process always has both sides. */
export interface HeldFifo extends Disposable {
  /** For bytes to be moved through: non-blocking, one direction only. */
  readonly used: Descriptor;
  /**
   * What keeps the other side open. For a FIFO that is written to it is a reader, so that writing neither waits for one
   * nor fails when the last one leaves; for one that is read, a writer, so that its end does not come when a writer
   * leaves.
   */
  readonly held: Descriptor;
}

/** Opens a FIFO for writing. Never waits. Throws {@link SyscallError}. */
export function holdForWriting(path: string): HeldFifo {
  // Reading and writing together never waits, and lets the other open find a reader.
  return hold(openFile(path, flags("O_RDWR", "O_NONBLOCK")), flags("O_WRONLY", "O_NONBLOCK"));
}

/**
 * Opens a FIFO for reading. Never waits. Throws {@link SyscallError}.
 *
 * The writer is opened second: had there never been one since the reader came, the reader's end would not be reported.
 */
export function holdForReading(path: string): HeldFifo {
  const used = openFile(path, flags("O_RDONLY", "O_NONBLOCK"));
  try {
    const held = openFile(`/proc/self/fd/${used.number}`, flags("O_WRONLY", "O_NONBLOCK"));
    return pairOf(used, held);
  } catch (error) {
    used.close();
    throw error;
  }
}

/** The writing end of a FIFO of which this process holds no other. */
export interface UnheldFifo {
  /** As {@link HeldFifo.used}. */
  readonly used: Descriptor;
  /** Whether somebody reads the FIFO, or waits in open(2) to do it. */
  readonly hasReader: boolean;
}

/**
 * Opens a FIFO for writing without a reader of this process's own, so that {@link isRead} tells whether it has another's.
 * A reader that comes finds a writer. Never waits. Throws {@link SyscallError}.
 */
export function openUnheld(path: string): UnheldFifo {
  try {
    return { used: openFile(path, flags("O_WRONLY", "O_NONBLOCK")), hasReader: true };
  } catch (error) {
    if (!isErrno(error, "ENXIO")) throw error;
    const { used, held } = holdForWriting(path);
    held.close();
    return { used, hasReader: isRead(used) };
  }
}

/** Whether the pipe or FIFO behind its writing end has a reader: one without is an error to its writers. */
export function isRead(writer: Descriptor): boolean {
  return (readyNow(writer.number, 0) & flags("EPOLLERR")) === 0;
}

/** Opens the other end of a FIFO whose writing end is at hand, as {@link HeldFifo.held}. Throws {@link SyscallError}. */
export function holdUnheld(used: Descriptor): Descriptor {
  return openFile(`/proc/self/fd/${used.number}`, flags("O_RDONLY", "O_NONBLOCK"));
}

function hold(held: Descriptor, access: number): HeldFifo {
  try {
    // By descriptor: the path may mean another file by now.
    return pairOf(openFile(`/proc/self/fd/${held.number}`, access), held);
  } catch (error) {
    held.close();
    throw error;
  }
}

function pairOf(used: Descriptor, held: Descriptor): HeldFifo {
  const close = (): void => {
    held.close();
    used.close();
  };
  return { used, held, [Symbol.dispose]: close };
}
