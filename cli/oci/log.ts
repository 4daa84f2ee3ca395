/**
 * Where the OCI runtime reports errors: logrus' text or JSON form, as shims and conmon read them.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";

/** Reports what happens in one call. */
export class RuntimeLog {
  readonly file: string | undefined;

  /** Makes the file where it is missing. Throws `InvalidArgument` where it cannot be opened: nothing is done then. */
  constructor(file: string | undefined, readonly format: "text" | "json", readonly debugs: boolean) {
    // An empty name stands for none, as with runc.
    if (!file) return;
    this.file = file;
    try {
      Deno.openSync(file, { append: true, create: true, mode: 0o644 }).close();
    } catch (error) {
      throw new Failure("InvalidArgument", `cannot open the log "${file}": ${messageOf(error)}`, { cause: error });
    }
  }

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
