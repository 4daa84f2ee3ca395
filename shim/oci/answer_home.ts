/**
 * Looks a home directory up in what a new process reads of its container's `/etc/passwd`.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { writeOnce } from "../../ffi/descriptor.ts";
import { signalPidfd } from "../../ffi/process.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { within } from "../../ffi/timer.ts";
import type { Launched } from "./launch.ts";
import { homeOf } from "./plan/environment.ts";
import { type HomeStop, readOn } from "./plan/home.ts";
import { fileBytesMax } from "./read_in_root.ts";

/** A file of a disk is there within milliseconds; one that a program of the container's makes up may never come. */
const readMs = 10_000;

/** Characters of a line that are kept until its end has been read. */
const lineMax = 16_384;

/** A process that asks for its home directory. */
export interface Asking {
  readonly launched: Launched;
  /** Where it waits for answers. */
  readonly go: number;
  /** Whether the container is paused: its processes are not to be blamed for being slow. */
  readonly isPaused: () => boolean;
}

/**
 * Waits until the process has read the file, and writes what it says of the user to the process's environment. The answer
 * that lets the process go on is the caller's.
 *
 * Throws `OutOfRange` for a file that is larger than 16 MiB, `DeadlineExceeded` where it does not come.
 */
export async function answerHome(reactor: Reactor, stop: HomeStop, asking: Asking): Promise<void> {
  const { child } = asking.launched;
  const decoder = new TextDecoder();
  let rest = "";
  for (let total = 0;;) {
    await asked(reactor, asking);
    if (!isRegular(child.bytesOf(stop.status))) return;
    const count = Math.max(child.resultOf(stop.read), 0);
    const isLast = count < stop.piece.bytes.length;
    total += count;
    if (total > fileBytesMax) {
      throw new Failure(
        "OutOfRange",
        'look up the home directory: the container\'s "/etc/passwd" is larger than 16 MiB',
      );
    }
    const text = rest + decoder.decode(child.bytesOf(stop.piece).subarray(0, count), { stream: !isLast });
    // The last line may not be whole yet.
    const whole = isLast ? text.length : text.lastIndexOf("\n") + 1;
    const home = homeOf(stop.uid, text.slice(0, whole));
    if (home !== undefined) return write(child, stop, home);
    if (isLast) return;
    // A line that is longer than this is nobody's; its end alone is not taken for a line, as it begins with what is kept.
    rest = text.slice(whole).slice(0, lineMax);
    writeOnce(asking.go, new Uint8Array([readOn]));
  }
}

function write(child: Launched["child"], { variable }: HomeStop, home: string): void {
  const bytes = new TextEncoder().encode(`HOME=${home}\0`);
  if (home.includes("\0") || bytes.length > variable.bytes.length) {
    throw new Failure("OutOfRange", 'look up the home directory: what the container\'s "/etc/passwd" says is no path');
  }
  child.write(variable, bytes);
}

/** Waits until the process asks; ends one that does not. */
async function asked(reactor: Reactor, { launched, isPaused }: Asking): Promise<void> {
  // The usual case, without a timer.
  if (launched.reportsSoon()) return await launched.settled(reactor, true);
  const settled = launched.settled(reactor, true, false);
  settled.catch(() => {});
  while (!await within(reactor, settled, readMs)) {
    if (isPaused()) continue;
    signalPidfd(launched.child.pidfd, flags("SIGKILL"));
    await settled.catch(() => {});
    throw new Failure(
      "DeadlineExceeded",
      `look up the home directory: the container's "/etc/passwd" could not be read within ${readMs / 1000} s; ` +
        "give the process a HOME, or mend what the file is on",
    );
  }
}

/** struct statx: stx_mode stands at 28. */
function isRegular(status: Uint8Array): boolean {
  const mode = new DataView(status.buffer, status.byteOffset).getUint16(28, true);
  return (mode & flags("S_IFMT")) === flags("S_IFREG");
}
