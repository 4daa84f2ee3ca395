/**
 * What the daemon's parts want of a log.
 *
 * @module
 */

/** Values that go beside a message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Takes messages by their weight. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
