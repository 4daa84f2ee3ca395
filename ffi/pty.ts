/**
 * Pseudo-terminals by descriptor.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { Descriptor, openFile } from "./descriptor.ts";
import { call } from "./syscall.ts";

/** The two sides of a terminal. */
export interface Pty {
  /** The side that shows and types; non-blocking. */
  readonly master: Descriptor;
  /** The side that programs use; blocking. */
  readonly slave: Descriptor;
}

/**
 * A new terminal of this process's own /dev/pts. The slave is opened by its master (TIOCGPTPEER, Linux 4.13): no path is
 * looked up that might lead elsewhere. Throws {@link SyscallError}.
 */
export function openPty(): Pty {
  const access = flags("O_RDWR", "O_NOCTTY", "O_CLOEXEC");
  const master = openFile("/dev/ptmx", access | flags("O_NONBLOCK"));
  try {
    call("ioctl", master.number, flags("TIOCSPTLCK"), new Int32Array(1));
    return { master, slave: new Descriptor(call("ioctl", master.number, flags("TIOCGPTPEER"), access)) };
  } catch (error) {
    master.close();
    throw error;
  }
}

/**
 * Tells the terminal its size; the programs in its foreground get SIGWINCH where it is another than before. Sizes are
 * kept in 16 bits (struct winsize: rows, columns), as the kernel has them.
 */
export function setTerminalSize(fd: number, size: { columns: number; rows: number }): void {
  call("ioctl", fd, flags("TIOCSWINSZ"), new Uint16Array([size.rows, size.columns, 0, 0]));
}

/** The terminal's size. */
export function terminalSize(fd: number): { columns: number; rows: number } {
  const winsize = new Uint16Array(4);
  call("ioctl", fd, flags("TIOCGWINSZ"), winsize);
  return { columns: winsize[1]!, rows: winsize[0]! };
}
