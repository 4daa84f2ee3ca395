/**
 * The help text of a command, from the same table that parses its flags.
 *
 * @module
 */
import { type Flag, type FlagTable, longName, placeholder } from "./flags.ts";

/** What the help text says besides the flags. */
export interface HelpText {
  /** The command and its arguments: `barge run [flags] IMAGE [COMMAND] [ARG...]`. */
  readonly usage: string;
  /** One sentence, or a few paragraphs. */
  readonly description: string;
}

/** Columns beyond which the name of a flag gets a line of its own. */
const widest = 34;

/** The help text; it ends with a newline. */
export function renderHelp(text: HelpText, table: FlagTable): string {
  const rows = Object.entries(table).filter(([, flag]) => flag.hidden !== true).map(([key, flag]) => ({
    name: nameColumn(key, flag),
    about: flag.help + remark(flag),
  }));
  const helpShort = Object.values(table).some((flag) => flag.short === "h") ? "    " : "-h, ";
  rows.push({ name: `${helpShort}--help`, about: "Show this text" });
  const width = Math.max(...rows.map(({ name }) => name.length <= widest ? name.length : 0));
  const lines = rows.map(({ name, about }) =>
    name.length <= width ? `  ${name.padEnd(width)}  ${about}` : `  ${name}\n  ${" ".repeat(width)}  ${about}`
  );
  return `Usage: ${text.usage}\n\n${text.description}\n\nFlags:\n${lines.join("\n")}\n`;
}

function nameColumn(key: string, flag: Flag): string {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  const value = placeholder(flag);
  return `${short}--${longName(key, flag)}${value === "" ? "" : " " + value}`;
}

function remark(flag: Flag): string {
  if (flag.kind === "list" || flag.kind === "count") return " (may be repeated)";
  if (flag.kind === "boolean") return flag.default === true ? " (default true)" : "";
  return flag.default === undefined ? "" : ` (default ${flag.default})`;
}
