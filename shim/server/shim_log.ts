/**
 * The shim's log: the FIFO `log` of the bundle, which the daemon reads, in logrus' text form.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile, writeOnce } from "../../ffi/descriptor.ts";

/** Says what happens; never waits and never fails, since a daemon that is away reads nothing. */
export interface ShimLog {
  error(text: string): void;
  warn(text: string): void;
  info(text: string): void;
  /** Only where debugging was asked for. */
  debug(text: string): void;
}

const encoder = new TextEncoder();

/** Opens the log. Without the file, or without a reader, what is written is lost. */
export function openShimLog(path: string, debugs: boolean): ShimLog {
  let file: Descriptor | undefined;
  try {
    // For both directions, so that a daemon that has left does not make each line an error.
    file = openFile(path, flags("O_RDWR", "O_NONBLOCK"));
  } catch {
    file = undefined;
  }
  const write = (level: string, text: string): void => {
    if (file === undefined) return;
    const line = `time="${new Date().toISOString()}" level=${level} msg=${
      JSON.stringify(text)
    } runtime=io.containerd.ts.v2\n`;
    try {
      writeOnce(file.number, encoder.encode(line));
    } catch {
      // A full pipe: nobody reads what is in it already.
    }
  };
  return {
    error: (text) => write("error", text),
    warn: (text) => write("warning", text),
    info: (text) => write("info", text),
    debug: (text) => debugs ? write("debug", text) : undefined,
  };
}
