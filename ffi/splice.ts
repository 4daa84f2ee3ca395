/**
 * Moving bytes between a pipe and another descriptor inside the kernel, and asking which side is ready.
 *
 * Both calls stand on the path of everything that a container prints, so they have symbols of their own (200 ns a call
 * against 600 by number) and answer with a negative errno instead of an exception.
 *
 * @module
 */
import { flags } from "./constants.ts";
import { libc } from "./libc.ts";
import { attempt, call } from "./syscall.ts";

const library = libc({
  splice: {
    parameters: [
      "i32", /* fd_in */
      "pointer", /* off_in */
      "i32", /* fd_out */
      "pointer", /* off_out */
      "u64", /* len */
      "u32", /* flags */
    ],
    result: "i64",
  },
  poll: { parameters: ["buffer", /* fds */ "u64", /* nfds */ "i32" /* timeout */], result: "i32" },
});

const moving = flags("SPLICE_F_MOVE", "SPLICE_F_NONBLOCK");

/**
 * Moves up to so many bytes; at least one of the two descriptors must be a pipe, FIFOs included. Gives how many were
 * moved, 0 at the end of the input, or a negative errno: `EAGAIN` where the input is empty or the output full, `EINVAL`
 * where the kernel cannot splice the two (a file opened with O_APPEND). Pipes are never waited for; a terminal is
 * waited for unless it is non-blocking.
 */
export function spliceOnce(from: number, to: number, bytesMax: bigint): number {
  const moved = Number(library().splice(from, null, to, null, bytesMax, moving));
  return moved !== -1 ? moved : attempt("splice", from, 0, to, 0, bytesMax, moving);
}

// struct pollfd: fd (32 bits), events and revents (16 bits each), twice.
const pair = new Int32Array(4);
const halves = new Int16Array(pair.buffer);

/** Which of `events` (of epoll; poll's have the same values) holds for a descriptor now; errors and hang-ups always. */
export function readyNow(fd: number, events: number): number {
  pair[0] = fd;
  halves[2] = events;
  halves[3] = 0;
  return library().poll(pair, 1n, 0) === 1 ? halves[3]! : 0;
}

const unread = new Int32Array(1);

/** How many bytes a pipe, FIFO or terminal holds. */
export function bytesUnread(fd: number): number {
  call("ioctl", fd, flags("FIONREAD"), unread);
  return unread[0]!;
}
