/**
 * The largest resident memory of a process, as the kernel keeps it.
 *
 * @module
 */

function highWaterMb(pid: number): number {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024;
  } catch {
    return 0; // It has ended.
  }
}

/** Begins to count anew for a process that lives on. */
export function resetPeak(pid: number): void {
  Deno.writeTextFileSync(`/proc/${pid}/clear_refs`, "5");
}

/** Runs a program that must succeed; gives its time in ms, and the peak in MB of it and of `others` together. */
export async function timeAndPeak(
  command: readonly string[],
  others: readonly number[] = [],
): Promise<{ timeMs: number; peakMb: number }> {
  for (const pid of others) resetPeak(pid);
  const [program, ...args] = command;
  const begin = performance.now();
  const child = new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
  const stderr = new Response(child.stderr).text();
  // The mark only rises: the last look before the end misses at most what came after it.
  let ownMb = 0;
  const timer = setInterval(() => ownMb = Math.max(ownMb, highWaterMb(child.pid)), 5);
  const { code } = await child.status;
  const timeMs = performance.now() - begin;
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${await stderr}`);
  return { timeMs, peakMb: ownMb + others.map(highWaterMb).reduce((sum, mb) => sum + mb, 0) };
}
