/**
 * The FIFO `log` of a bundle, where a shim writes what it has to say: it becomes part of the daemon's log.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { type Descriptor, openFile, readOnce } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { makeFifo } from "../../ffi/fifo.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import type { Fields } from "../log/line.ts";
import type { Logger } from "../log/logger.ts";

/** What a line of a shim says. */
export interface ShimLine {
  readonly level: "error" | "warn" | "info" | "debug";
  readonly message: string;
}

const levels: Readonly<Record<string, ShimLine["level"]>> = {
  panic: "error",
  fatal: "error",
  error: "error",
  warning: "warn",
  info: "info",
  debug: "debug",
  trace: "debug",
};

/**
 * Reads a line in the text form of logrus, which shims write in Go; what comes after the message stays with it. Any other
 * line is a message as it stands.
 */
export function parseShimLine(line: string): ShimLine {
  const found = /^(?:time="[^"]*" )?level=(\w+) msg=("(?:[^"\\]|\\.)*"|[^"\s]\S*)(.*)$/.exec(line);
  const level = levels[found?.[1] ?? ""];
  if (found === null || level === undefined) return { level: "info", message: line };
  return { level, message: unquoted(found[2]!) + found[3]! };
}

function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  try {
    return JSON.parse(text);
  } catch {
    // Go escapes more than JSON has; what it wrote can be read as it is.
    return text.slice(1, -1);
  }
}

/** A longer line is cut into pieces. */
const lineBytesMax = 16 << 10;
/** So much is read at a time; what a talkative shim has beyond that waits for the next turn. */
const readBytesMax = 64 << 10;

/** Reads a bundle's log until it is closed. */
export class ShimLog implements Disposable {
  readonly #descriptor: Descriptor;
  readonly #watch: Watch;
  readonly #log: Logger;
  readonly #fields: Fields;
  readonly #decoder = new TextDecoder();
  #rest = "";

  /**
   * Opens the FIFO in the bundle, making it where it is missing. Both of its ends are held, so that the shim neither
   * waits for a reader nor ends the log when it leaves. Throws `SyscallError`.
   */
  constructor(reactor: Reactor, bundle: string, log: Logger, fields: Fields) {
    const path = `${bundle}/log`;
    try {
      makeFifo(path, 0o700);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
    this.#log = log;
    this.#fields = fields;
    this.#descriptor = openFile(path, flags("O_RDWR", "O_NONBLOCK", "O_NOFOLLOW"));
    this.#watch = reactor.watch(this.#descriptor.number, flags("EPOLLIN"), () => this.#read());
  }

  #read(): void {
    const buffer = new Uint8Array(readBytesMax);
    let count: number;
    try {
      count = readOnce(this.#descriptor.number, buffer);
    } catch (error) {
      if (isErrno(error, "EAGAIN", "EINTR")) return;
      throw error;
    }
    const lines = (this.#rest + this.#decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) this.#write(line);
    if (this.#rest.length > lineBytesMax) {
      this.#write(this.#rest);
      this.#rest = "";
    }
  }

  #write(line: string): void {
    if (line === "") return;
    const { level, message } = parseShimLine(line);
    this.#log[level](message, this.#fields);
  }

  /** Reads what is there and ends. */
  [Symbol.dispose](): void {
    this.#read();
    this.#watch.close();
    this.#descriptor.close();
    this.#write(this.#rest);
    this.#rest = "";
  }
}
