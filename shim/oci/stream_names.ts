/**
 * What the kernel calls a container's standard streams: a checkpoint tells pipes by that.
 *
 * @module
 */
import type { Streams } from "./launch.ts";

/** Names of three descriptors of a process in `/proc`; of one that is closed, the empty text. */
export function namesIn(pid: number | "self", numbers: readonly [number, number, number]): string[] {
  return numbers.map((number) => {
    try {
      return Deno.readLinkSync(`/proc/${pid}/fd/${number}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  });
}

/** Names of the streams that this process gives to a container. */
export function streamNames({ stdin, stdout, stderr }: Streams): string[] {
  return namesIn("self", [stdin, stdout, stderr]);
}
