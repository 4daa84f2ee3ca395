/**
 * Help texts in the layout of runc's: under its name scripts and test suites look for their headings.
 *
 * @module
 */
import { type Flag, type FlagTable, longName } from "../flags.ts";

/** What a help text says besides the flags. */
export interface RuncHelp {
  /** `runc` or `runc run`, and what it is. */
  readonly name: string;
  /** The command line. */
  readonly usage: string;
  /** Headed parts between usage and flags. */
  readonly parts: readonly (readonly [heading: string, lines: readonly string[]])[];
  /** Heading of the flags. */
  readonly flags: string;
}

/** The text; it ends with a newline. */
export function renderRuncHelp(text: RuncHelp, table: FlagTable): string {
  const rows = Object.entries(table).filter(([, flag]) => flag.hidden !== true).map(([key, flag]) =>
    [nameColumn(key, flag), flag.help + (defaultOf(flag) ?? "")] as const
  );
  rows.push(["--help, -h", "show help"]);
  const parts = [
    ["NAME", [text.name]] as const,
    ["USAGE", [text.usage]] as const,
    ...text.parts,
    [text.flags, columns(rows)] as const,
  ];
  return parts.map(([heading, lines]) => `${heading}:\n${lines.map((line) => `   ${line}\n`).join("")}`).join("\n");
}

/** Two columns, the second of which begins below itself. */
export function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${left.padEnd(width)}  ${right}`.trimEnd());
}

/** `--bundle value, -b value`. */
function nameColumn(key: string, flag: Flag): string {
  const value = flag.kind === "boolean" || flag.kind === "count" ? "" : " value";
  const short = flag.short === undefined ? "" : `, -${flag.short}${value}`;
  return `--${longName(key, flag)}${value}${short}`;
}

function defaultOf(flag: Flag): string | undefined {
  return flag.kind === "value" || flag.kind === "choice"
    ? flag.default && ` (default: ${JSON.stringify(flag.default)})`
    : undefined;
}
