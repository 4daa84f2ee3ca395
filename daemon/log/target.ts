/**
 * Where log lines go.
 *
 * @module
 */

/** Takes lines. */
export interface LogTarget {
  /** Writes a line with its end. Never throws. */
  write(line: string): void;
  /** Opens the file of that name again; nothing where there is no name. Throws what opening throws. */
  reopen(): void;
}

const encoder = new TextEncoder();

/** What a line is written to; `Deno.stderr` and open files are such. */
interface SyncWriter {
  writeSync(bytes: Uint8Array): number;
}

/**
 * One call for a line, so that lines of several processes do not mix; the rest of it where that took only a part. A line
 * that cannot be written is dropped: standard error may be a closed pipe, and the disk may be full.
 */
function writeLine(writer: SyncWriter, line: string): void {
  const bytes = encoder.encode(line);
  try {
    for (let at = 0; at < bytes.length;) {
      const count = writer.writeSync(at === 0 ? bytes : bytes.subarray(at));
      if (count === 0) return;
      at += count;
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/** Standard error, which a service manager collects. */
export const standardError: LogTarget = {
  write: (line) => writeLine(Deno.stderr, line),
  reopen: () => {},
};

/** A file that grows; `reopen` after something else has renamed it. */
export class LogFile implements LogTarget, Disposable {
  #file: Deno.FsFile;

  /** Opens or makes the file, readable by its owner and group. Throws what opening throws. */
  constructor(readonly path: string) {
    this.#file = LogFile.#open(path);
  }

  write(line: string): void {
    writeLine(this.#file, line);
  }

  reopen(): void {
    const former = this.#file;
    this.#file = LogFile.#open(this.path);
    former.close();
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  static #open(path: string): Deno.FsFile {
    return Deno.openSync(path, { append: true, create: true, mode: 0o640 });
  }
}
