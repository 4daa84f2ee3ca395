/**
 * FIFOs: making them, and opening them so that nobody has to be waited for.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor, openFile } from "./descriptor.ts";
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
