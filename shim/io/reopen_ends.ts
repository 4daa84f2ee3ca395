/**
 * The other ends of a running process's standard streams, where nobody has kept any: the kernel opens a pipe anew by a
 * process's `/proc/PID/fd`, for as long as the process has its own end.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import type { ContainerEnds } from "./stream_ends.ts";

/** Inodes of the pipes that the streams are. */
export type StreamPipes = Readonly<Partial<Record<"stdin" | "stdout" | "stderr", number>>>;

/** A process with more open files is not looked through: its own program decides how many it has. */
const looksMax = 4096;

/**
 * Opens the ends that are missing. What the process has put in the place of its streams since is not touched: a descriptor
 * is opened by its path first (O_PATH), which has no effect on whatever it is, and used only where it is that very pipe.
 */
export function reopenEnds(pid: number, pipes: StreamPipes): ContainerEnds {
  const ends: ContainerEnds = {};
  const wanted = new Map(Object.entries(pipes).map(([name, inode]) => [inode, name as keyof StreamPipes]));
  try {
    let looks = 0;
    for (const { name: number } of Deno.readDirSync(`/proc/${pid}/fd`)) {
      if (wanted.size === 0 || ++looks > looksMax) break;
      const path = `/proc/${pid}/fd/${number}`;
      const inode = pipeAt(path);
      const name = inode === undefined ? undefined : wanted.get(inode);
      if (name === undefined) continue;
      const end = reopen(path, inode!, name === "stdin" ? flags("O_WRONLY") : flags("O_RDONLY"));
      if (end === undefined) continue;
      ends[name] = end;
      wanted.delete(inode!);
    }
  } catch (error) {
    // It has ended meanwhile.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return ends;
}

function pipeAt(path: string): number | undefined {
  try {
    const [, inode] = /^pipe:\[(\d+)\]$/.exec(Deno.readLinkSync(path)) ?? [];
    return inode === undefined ? undefined : Number(inode);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function reopen(path: string, inode: number, access: number): Descriptor | undefined {
  try {
    using place = openFile(path, flags("O_PATH"));
    const own = `/proc/self/fd/${place.number}`;
    return pipeAt(own) === inode ? openFile(own, access | flags("O_NONBLOCK")) : undefined;
  } catch (error) {
    // ENXIO: nobody reads the pipe of its input any more.
    if (isErrno(error, "ENOENT", "ENXIO", "ESRCH")) return undefined;
    throw error;
  }
}
