/**
 * The value of an overlay's option `lowerdir`: directories with colons between them, in which a backslash goes before a
 * colon or backslash of a name (Linux: filesystems/overlayfs).
 *
 * @module
 */

/** The value for these directories, the nearest first. */
export function joinLowers(directories: readonly string[]): string {
  return directories.map((directory) => directory.replace(/[\\:]/g, "\\$&")).join(":");
}

/** The directories of such a value. An empty one stands between two colons, which begin layers of data only. */
export function splitLowers(value: string): string[] {
  if (!value.includes("\\")) return value.split(":");
  return (value.match(/(?:^|:)(?:\\[^]|[^:\\])*/g) ?? [])
    .map((part) => part.replace(/^:/, "").replace(/\\([^])/g, "$1"));
}
