/**
 * One line of comma-separated values (RFC 4180), as docker's flags use it.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";

/** The fields of the line; a field in double quotes may hold commas, and quotes as two. Throws `InvalidArgument`. */
export function csvFields(line: string): string[] {
  const fields: string[] = [];
  let rest = line;
  for (;;) {
    const match = /^(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/.exec(rest);
    if (match === null) {
      throw new Failure("InvalidArgument", "want a double quote only around a whole field, and closed");
    }
    fields.push(match[1] === undefined ? match[2]! : match[1].replaceAll('""', '"'));
    if (match[3] === "") return fields;
    rest = rest.slice(match[0].length);
  }
}
