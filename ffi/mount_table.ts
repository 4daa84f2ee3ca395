/**
 * The text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
 *
 * @module
 */

/** A path or a source of the table, where the kernel writes space, tab, newline and backslash as `\040` and the like. */
export function unescapeMountField(field: string): string {
  if (!field.includes("\\")) return field;
  return field.replace(/\\([0-7]{3})/g, (_match, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
