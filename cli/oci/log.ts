/**
 * Where the OCI runtime reports errors: logrus' text or JSON form, as shims and conmon read them.
 *
 * @module
 */

/** Reports what happens in one call. */
export class RuntimeLog {
  constructor(readonly file: string | undefined, readonly format: "text" | "json", readonly debugs: boolean) {}

  /** Appends the error to the log; where that is a file, prints it on standard error as well. */
  error(message: string): void {
    this.#write("error", message);
    if (this.file !== undefined) console.error(message);
  }

  /** Appends a warning. */
  warn(message: string): void {
    this.#write("warning", message);
  }

  /** Appends a line that only `--debug` asks for. */
  debug(message: string): void {
    if (this.debugs) this.#write("debug", message);
  }

  #write(level: string, message: string): void {
    const time = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const line = this.format === "json"
      ? JSON.stringify({ level, msg: message, time })
      : `time="${time}" level=${level} msg=${JSON.stringify(message)}`;
    if (this.file === undefined) {
      console.error(line);
      return;
    }
    try {
      Deno.writeTextFileSync(this.file, line + "\n", { append: true, create: true, mode: 0o644 });
    } catch (error) {
      console.error(`cannot write the log "${this.file}": ${error instanceof Error ? error.message : error}`);
    }
  }
}
