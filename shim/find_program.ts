/**
 * Finds programs of the host.
 *
 * @module
 */
import { Failure } from "../api/errors.ts";
import { readLaunch } from "../ffi/launch.ts";

/** The path of a program by PATH, as execvp(3) finds it. Throws `NotFound` in the words of Go's os/exec. */
export function findProgram(name: string): string {
  if (name.includes("/")) return name;
  for (const directory of (readLaunch().environment.get("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin").split(":")) {
    const path = `${directory}/${name}`;
    try {
      const info = Deno.statSync(path);
      if (info.isFile && ((info.mode ?? 0) & 0o111) !== 0) return path;
    } catch {
      // Not in this one.
    }
  }
  throw new Failure("NotFound", `exec: ${JSON.stringify(name)}: executable file not found in $PATH`);
}
