/**
 * Builds side by side below `PREFIX/lib/barge`: each is a directory named for its contents, and a whole prefix in itself
 * (`bin/barge` and `lib/barge`), so that a program that runs loads all that it loads later from the build that it began with.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Name of a build: the first 12 hexadecimal digits of the SHA-256 of its files' names and contents. */
export function buildName(files: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash("sha256");
  for (const [name, bytes] of [...files].sort(([a], [b]) => a < b ? -1 : 1)) {
    hash.update(`${name.length}:${name}${bytes.length}:`).update(bytes);
  }
  return hash.digest("hex").slice(0, 12);
}

/** The directory of the modules, and of the copy of Deno, that a launcher starts. Throws where there is no such launcher. */
export function libraryOf(launcher: string): string {
  return `${Deno.realPathSync(launcher).slice(0, -"/bin/barge".length)}/lib/barge`;
}

/** Names of builds that are not whole yet begin so. */
export const attemptPrefix = ".fresh-";

const buildNamePattern = /^[0-9a-f]{12}$/;

function buildsIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) => buildNamePattern.test(name));
}

/** Device and inode of a file; undefined where there is none or where it cannot be looked at. */
function identity(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.statSync(path);
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.PermissionDenied) return "hidden";
    throw error;
  }
}

/**
 * The executables that processes run now, by device and inode; `hidden` is among them where another user's process that
 * calls itself `deno` does not let us look.
 */
function executablesThatRun(): Set<string> {
  const found = new Set<string>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const one = identity(`/proc/${name}/exe`);
    if (one === undefined || (one === "hidden" && commandOf(name) !== "deno")) continue;
    found.add(one);
  }
  return found;
}

function commandOf(pid: string): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`).trim();
  } catch {
    return undefined; // It has ended meanwhile.
  }
}

/** The builds, of these names, whose Deno runs in some process; all of them where that cannot be seen. */
function buildsInUse(directory: string, names: readonly string[]): string[] {
  const running = executablesThatRun();
  if (running.has("hidden")) return [...names];
  return names.filter((name) => {
    const own = identity(`${directory}/${name}/lib/barge/deno`);
    return own !== undefined && running.has(own);
  });
}

/** A build that is not whole after this time belongs to an installation that was ended. */
const attemptHoursMax = 1;

/** Removes what installations have left: builds that are neither kept nor run by anybody, and attempts that were ended. */
export function removeOldBuilds(builds: string, kept: readonly (string | undefined)[]): void {
  const old = buildsIn(builds).filter((name) => !kept.includes(name));
  const used = buildsInUse(builds, old);
  const attempts = [...Deno.readDirSync(builds)].map(({ name }) => name).filter((name) => {
    const made = name.startsWith(attemptPrefix) ? Deno.lstatSync(`${builds}/${name}`).mtime?.getTime() : undefined;
    return made !== undefined && Date.now() - made > attemptHoursMax * 3_600_000;
  });
  for (const name of [...old.filter((one) => !used.includes(one)), ...attempts]) {
    Deno.removeSync(`${builds}/${name}`, { recursive: true });
  }
}
