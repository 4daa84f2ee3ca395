/**
 * Which process serves a shim's socket, where the shim itself does not say it.
 *
 * @module
 */

/** Whether the process has the socket of that path open, so that it may be ended in its place. */
export function servesSocket(pid: number, path: string): boolean {
  try {
    const sockets = listening(path);
    return [...Deno.readDirSync(`/proc/${pid}/fd`)].some(({ name }) => {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${name}`)) ?? [];
      return inode !== undefined && sockets.has(inode);
    });
  } catch (error) {
    // It has ended, or is somebody else's to look into.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

/** Inodes of the path's sockets: the listening one, and those of connections. Fields of proc_net(5), unix. */
function listening(path: string): Set<string> {
  const lines = Deno.readTextFileSync("/proc/net/unix").split("\n");
  const found = lines.filter((line) => line.endsWith(` ${path}`)).map((line) => line.trim().split(/\s+/)[6] ?? "");
  return new Set(found.filter((inode) => inode !== ""));
}

function linkOf(path: string): string {
  try {
    return Deno.readLinkSync(path);
  } catch (error) {
    // It was closed meanwhile.
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
