/**
 * One event as a line, in the two forms in which containerd writes its log (logrus' text and JSON).
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";

/** What a line tells besides the message, by key. */
export type Fields = Readonly<Record<string, unknown>>;

/** The parts of a line. */
export interface Entry {
  readonly time: Date;
  readonly level: string;
  readonly message: string;
  readonly fields: Fields;
}

/** UTF-16 units that a message or value may have: a log line is read by people, and some collectors cut at 16 KiB. */
const textMax = 8192;

/** `time="…" level=info msg="…" key=value`; keys in order. Without the line's end. */
export function textLine({ time, level, message, fields }: Entry): string {
  let line = `time="${timeText(time)}" level=${level} msg=${quote(bounded(message))}`;
  for (const key of Object.keys(fields).sort()) {
    const value = fields[key];
    if (value !== undefined) line += ` ${nameOf(key)}=${quote(bounded(plain(value)))}`;
  }
  return line;
}

/** A JSON object with its keys in order. Without the line's end. */
export function jsonLine({ time, level, message, fields }: Entry): string {
  const values: Record<string, unknown> = { level, msg: bounded(message), time: timeText(time) };
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const simple = typeof value === "number" || typeof value === "boolean" || value === null;
    values[nameOf(key)] = simple ? value : bounded(plain(value));
  }
  const pairs = Object.keys(values).sort().map((key) => `${JSON.stringify(key)}:${JSON.stringify(values[key])}`);
  // Go escapes these, so that the text can stand in HTML.
  return `{${pairs.join(",")}}`.replace(/[<>&\u2028\u2029]/g, escapeUnit);
}

/** Fields that have the names of the line's own parts get others. */
function nameOf(key: string): string {
  return key === "time" || key === "level" || key === "msg" ? `fields.${key}` : key;
}

/** As containerd: RFC 3339 with nine digits. The clock here has three. */
function timeText(time: Date): string {
  return time.toISOString().replace("Z", "000000Z");
}

function plain(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return messageOf(value);
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value);
  } catch (error) {
    // A circle, or a getter that throws; a log line must not be what fails.
    return `(not printable: ${messageOf(error)})`;
  }
}

function bounded(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax)}… (${text.length - textMax} more)`;
}

const short: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** Bare where it may be, else as Go's `%q`. */
function quote(text: string): string {
  if (/^[\w.\-/@^+]*$/.test(text)) return text;
  return `"${text.replace(/["\\]|[^\P{C}]|[^\P{Z} ]/gu, escape)}"`;
}

function escape(character: string): string {
  const named = short[character];
  if (named !== undefined) return named;
  const code = character.codePointAt(0)!;
  // Half of a character is what Go calls an error.
  if (code >= 0xd800 && code <= 0xdfff) return "\ufffd";
  const hex = code.toString(16);
  if (code < 0x80) return `\\x${hex.padStart(2, "0")}`;
  return code > 0xffff ? `\\U${hex.padStart(8, "0")}` : `\\u${hex.padStart(4, "0")}`;
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
