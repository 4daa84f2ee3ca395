/**
 * Amounts of bytes and time as people read them.
 *
 * @module
 */

const units = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes in decimal units with three digits at most: `999 B`, `1.5 MB`, `123 GB`. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  // Half a unit early, so that rounding never shows "1000 kB".
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** Milliseconds: `0.4 s`, `12 s`, `3 m 05 s`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, "0")} s`;
}
