/**
 * The daemon's log: leveled lines with fields, written one by one.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { type Fields, jsonLine, textLine } from "./line.ts";
import type { LogTarget } from "./target.ts";

/** Severities, the gravest first, by the names that lines carry. */
const levels = ["panic", "fatal", "error", "warning", "info", "debug", "trace"] as const;

/** A severity. */
export type Level = typeof levels[number];

/** Text is logrus' `key=value`; json one object a line. */
export type LogFormat = "text" | "json";

/** The level of that name; `warn` is one too, and case does not count. Throws `InvalidArgument`. */
export function parseLevel(name: string): Level {
  const lower = name.toLowerCase();
  const level = levels.find((level) => level === (lower === "warn" ? "warning" : lower));
  if (level !== undefined) return level;
  throw new Failure("InvalidArgument", `not a valid log level: "${name}": want one of ${levels.join(", ")}`);
}

/** What all loggers of a daemon share, so that one change is seen by all. */
interface Sink {
  target: LogTarget;
  rank: number;
  format: LogFormat;
}

/** Options of a new log. */
export interface LogOptions {
  readonly target: LogTarget;
  /** Least severity that is written. Default `info`, as containerd's. */
  readonly level?: Level;
  /** Default `text`. */
  readonly format?: LogFormat;
}

/**
 * Writes lines. A call below the level costs a comparison; its fields should not cost more, see {@link enabled}. Nothing
 * here throws: a log that cannot be written stops no daemon.
 */
export class Logger {
  readonly #sink: Sink;
  readonly #fields: Fields;

  private constructor(sink: Sink, fields: Fields) {
    this.#sink = sink;
    this.#fields = fields;
  }

  /** A new log. */
  static to({ target, level = "info", format = "text" }: LogOptions): Logger {
    return new Logger({ target, rank: levels.indexOf(level), format }, {});
  }

  /** A logger of the same log whose lines have these fields as well. */
  with(fields: Fields): Logger {
    return new Logger(this.#sink, { ...this.#fields, ...fields });
  }

  /** Whether lines of this severity are written. */
  enabled(level: Level): boolean {
    return levels.indexOf(level) <= this.#sink.rank;
  }

  /** Changes the least severity, for all loggers of this log. */
  setLevel(level: Level): void {
    this.#sink.rank = levels.indexOf(level);
  }

  /** Changes the form of lines, for all loggers of this log. */
  setFormat(format: LogFormat): void {
    this.#sink.format = format;
  }

  /** Opens the log's file again, after it was renamed; where that fails, the open one stays in use and is told so. */
  reopen(): void {
    try {
      this.#sink.target.reopen();
    } catch (error) {
      this.error("cannot open the log again: the former file stays in use", { error });
    }
  }

  /** Writes a line. Of these two severities too: to end is the caller's. */
  panic(message: string, fields?: Fields): void {
    this.#write(0, message, fields);
  }

  /** Writes a line. */
  fatal(message: string, fields?: Fields): void {
    this.#write(1, message, fields);
  }

  /** Writes a line. */
  error(message: string, fields?: Fields): void {
    this.#write(2, message, fields);
  }

  /** Writes a line. */
  warn(message: string, fields?: Fields): void {
    this.#write(3, message, fields);
  }

  /** Writes a line. */
  info(message: string, fields?: Fields): void {
    this.#write(4, message, fields);
  }

  /** Writes a line. */
  debug(message: string, fields?: Fields): void {
    this.#write(5, message, fields);
  }

  /** Writes a line. */
  trace(message: string, fields?: Fields): void {
    this.#write(6, message, fields);
  }

  #write(rank: number, message: string, fields: Fields | undefined): void {
    const sink = this.#sink;
    if (rank > sink.rank) return;
    const all = fields === undefined ? this.#fields : { ...this.#fields, ...fields };
    const line = sink.format === "json" ? jsonLine : textLine;
    sink.target.write(line({ time: new Date(), level: levels[rank]!, message, fields: all }) + "\n");
  }
}
