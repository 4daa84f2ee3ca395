/**
 * File descriptors: opening, closing, reading, writing and the small calls around them.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { isErrno } from "./errno.ts";
import { call } from "./syscall.ts";

/** An open descriptor of this process, closed once by {@link Descriptor.close} or `using`. */
export class Descriptor implements Disposable {
  #open = true;

  constructor(readonly number: number) {}

  /** Whether the number is still this one's. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Closes it; a second call does nothing. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    call("close", this.number);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Opens a file; `O_CLOEXEC` is always set. Throws {@link SyscallError} with the path. */
export function openFile(path: string, openFlags: number, mode = 0): Descriptor {
  return new Descriptor(call("openat", flags("AT_FDCWD"), path, openFlags | flags("O_CLOEXEC"), mode));
}

/** A pipe, both ends O_CLOEXEC. */
export function makePipe(): { read: Descriptor; write: Descriptor } {
  const ends = new Int32Array(2);
  call("pipe2", ends, flags("O_CLOEXEC"));
  return { read: new Descriptor(ends[0]!), write: new Descriptor(ends[1]!) };
}

/** Reads once; 0 is the end of the file. Throws {@link SyscallError}, `EAGAIN` where a non-blocking one has nothing. */
export function readOnce(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  return call("read", fd, buffer, buffer.length);
}

/** Writes once and gives how much was taken. Throws {@link SyscallError}. */
export function writeOnce(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
  return call("write", fd, bytes, bytes.length);
}

/** Makes reads and writes of the descriptor's open file return instead of wait. */
export function setNonBlocking(fd: number): void {
  call("fcntl", fd, flags("F_SETFL"), call("fcntl", fd, flags("F_GETFL")) | flags("O_NONBLOCK"));
}

/** Gives the descriptor's file to another owner. */
export function changeOwner(fd: number, uid: number, gid: number): void {
  call("fchown", fd, uid, gid);
}

/**
 * Waits in place, with this whole thread, until the descriptor is readable or at its end; false after `timeMsMax`. For
 * what comes within a few milliseconds: waiting on the reactor takes one longer.
 */
export function waitInPlace(fd: number, timeMsMax: number): boolean {
  // struct pollfd: fd, events (16 bits), revents (16 bits); POLLIN is EPOLLIN.
  const poll = new Int32Array([fd, flags("EPOLLIN")]);
  const time = new BigInt64Array([BigInt(Math.floor(timeMsMax / 1000)), BigInt(timeMsMax % 1000) * 1_000_000n]);
  try {
    return call("ppoll", poll, 1, time, 0, 8) === 1;
  } catch (error) {
    if (isErrno(error, "EINTR")) return false;
    throw error;
  }
}

let stub: number | undefined;

/**
 * The sealed, empty, executable file that containers see as `/proc/PID/exe` of a child that has not yet executed
 * anything. Made once per process. Executing it fails with ENOEXEC.
 */
export function executableStub(): number {
  if (stub !== undefined) return stub;
  const base = flags("MFD_CLOEXEC", "MFD_ALLOW_SEALING");
  let fd: number;
  try {
    // MFD_EXEC is of Linux 6.3; without it vm.memfd_noexec=1 would make the file not executable.
    fd = call("memfd_create", "barge", base | flags("MFD_EXEC"));
  } catch (error) {
    if (!isErrno(error, "EINVAL")) throw error;
    fd = call("memfd_create", "barge", base);
  }
  const seals = flags("F_SEAL_SEAL", "F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_WRITE");
  call("fcntl", fd, flags("F_ADD_SEALS"), seals);
  return stub = fd;
}
