/**
 * What others see as this process's command line.
 *
 * @module
 */

/** Fields 48 and 49 of proc_pid_stat(5), counted from what follows the command's name. */
const beginField = 45, endField = 46;

/**
 * Exchanges the last words of the command line, as many as `Deno.args` has, for these. Says whether there was room: the
 * kernel shows the memory in which the words were, and what follows it is the environment. The new ones are shown from
 * then on in `/proc/PID/cmdline`.
 */
export function showArguments(words: readonly string[]): boolean {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const begin = BigInt(fields[beginField] ?? 0), end = BigInt(fields[endField] ?? 0);
  const place = Deno.UnsafePointer.create(begin);
  if (place === null || end <= begin) return false;
  const memory = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(place, Number(end - begin)));
  const shown = new TextDecoder().decode(memory).split("\0");
  const kept = shown.slice(0, shown.length - 1 - Deno.args.length);
  const bytes = new TextEncoder().encode([...kept, ...words, ""].join("\0"));
  if (bytes.length > memory.length) return false;
  memory.set(bytes);
  // A last byte that is not zero would say that the words go on in the environment.
  memory.fill(0, bytes.length);
  return true;
}
