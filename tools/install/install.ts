/**
 * Puts barge below a prefix:
 *
 * ```text
 * bin/barge                        link to the launcher of the newest build
 * bin/NAME                         link to bin/barge for each name in main.ts's table
 * lib/barge/BUILD/bin/barge        the launcher, a static executable that barge emits itself
 * lib/barge/BUILD/lib/barge/deno   a copy of the Deno that installed it, which may live in a passing cache
 * lib/barge/BUILD/lib/barge/*.js   the bundled program
 * lib/barge/BUILD/lib/barge/cache  what Deno keeps between runs
 * lib/systemd/system/barge.service
 *                                  the daemon's unit
 * ```
 *
 * Programs that run keep their build: it goes with a later installation, when nobody runs it any more. The build before the
 * newest one stays in any case, for a program that is about to start.
 *
 * @module
 */
import { launcherElf } from "../../ffi/elf/launcher.ts";
import { attemptPrefix, buildName, removeOldBuilds } from "./builds.ts";
import { bundle } from "./bundle.ts";
import { linkNames, linkWords } from "./links.ts";
import { unitPlace, unitText } from "./unit.ts";
import { warmCodeCache } from "./warm.ts";

/** Options of {@link install}. */
export interface InstallOptions {
  /** Root of the source tree. */
  root: URL;
  /** Absolute path. */
  prefix: string;
  /** Whether names other than `barge` are made. */
  links: boolean;
}

/** What was done. */
export interface Installed {
  /** Path of the launcher. */
  launcher: string;
  /** Path of the daemon's systemd unit. */
  unit: string;
  links: string[];
  /** Names that something else has already, and that were left alone. */
  taken: string[];
}

function status(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Puts a file in place by renaming, so that a running one is not written to and a name is never without its file. */
function replaceFile(path: string, write: (temporary: string) => void): void {
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    write(temporary);
    Deno.renameSync(temporary, path);
  } catch (error) {
    if (status(temporary) !== undefined) Deno.removeSync(temporary);
    throw error;
  }
}

function writeExecutable(path: string, bytes: Uint8Array): void {
  Deno.writeFileSync(path, bytes);
  // Not by `mode`: the umask would apply.
  Deno.chmodSync(path, 0o755);
}

/** Fills a new directory with everything that belongs to a build's `lib/barge`. */
async function fillLibrary(root: URL, directory: string): Promise<void> {
  Deno.mkdirSync(directory, { recursive: true });
  await bundle(root, directory);
  // A name that stands for one word alone has that word's script.
  for (const [name, words] of linkWords(Deno.readTextFileSync(new URL("main.ts", root)))) {
    const [word, ...more] = words;
    if (more.length === 0) Deno.copyFileSync(`${directory}/start-${word}.js`, `${directory}/start-${name}.js`);
  }
  for (const { name } of Deno.readDirSync(directory)) Deno.chmodSync(`${directory}/${name}`, 0o644);
  // A copy and no hard link: whoever could write to one would write to the other.
  Deno.copyFileSync(Deno.execPath(), `${directory}/deno`);
  Deno.chmodSync(`${directory}/deno`, 0o755);
  Deno.mkdirSync(`${directory}/cache`);
  // Root's own: other users run without a cache rather than with one that somebody else wrote.
  Deno.chmodSync(`${directory}/cache`, 0o700);
}

/** What tells builds apart. */
function contentsOf(library: string, launcher: Uint8Array): Map<string, Uint8Array> {
  const files = new Map([["launcher", launcher], ["deno", new TextEncoder().encode(Deno.version.deno)]]);
  for (const { name } of Deno.readDirSync(library)) {
    if (name.endsWith(".js")) files.set(name, Deno.readFileSync(`${library}/${name}`));
  }
  return files;
}

/** Puts a build beside those that are there, and gives its name. One that is there already as a whole is kept. */
async function installBuild(root: URL, builds: string): Promise<string> {
  const fresh = await Deno.makeTempDir({ dir: builds, prefix: attemptPrefix });
  try {
    await fillLibrary(root, `${fresh}/lib/barge`);
    const launcher = launcherElf();
    const name = buildName(contentsOf(`${fresh}/lib/barge`, launcher));
    const place = `${builds}/${name}`;
    // The launcher comes last: with it a build is whole.
    if (status(`${place}/bin/barge`) !== undefined) return name;
    if (status(place) !== undefined) Deno.removeSync(place, { recursive: true });
    for (const directory of [fresh, `${fresh}/lib`, `${fresh}/lib/barge`]) Deno.chmodSync(directory, 0o755);
    Deno.renameSync(fresh, place);
    await warmCodeCache(`${place}/lib/barge`);
    Deno.mkdirSync(`${place}/bin`);
    Deno.chmodSync(`${place}/bin`, 0o755);
    replaceFile(`${place}/bin/barge`, (temporary) => writeExecutable(temporary, launcher));
    return name;
  } finally {
    if (status(fresh) !== undefined) Deno.removeSync(fresh, { recursive: true });
  }
}

/** Name of the build that the link leads to; undefined where it leads to none. */
function buildOf(link: string): string | undefined {
  if (status(link)?.isSymlink !== true) return undefined;
  return /(?:^|\/)lib\/barge\/([0-9a-f]{12})\/bin\/barge$/.exec(Deno.readLinkSync(link))?.[1];
}

/** Makes the links that are missing; what is no link to barge stays. */
function installLinks(directory: string, names: readonly string[]): { links: string[]; taken: string[] } {
  const [links, taken]: [string[], string[]] = [[], []];
  for (const name of names) {
    const path = `${directory}/${name}`;
    const there = status(path);
    const isOurs = there?.isSymlink === true && Deno.readLinkSync(path) === "barge";
    if (there !== undefined && !isOurs) {
      taken.push(path);
      continue;
    }
    if (!isOurs) Deno.symlinkSync("barge", path);
    links.push(path);
  }
  return { links, taken };
}

/** Installs barge, or replaces what an earlier call installed. */
export async function install({ root, prefix, links }: InstallOptions): Promise<Installed> {
  const builds = `${prefix}/lib/barge`;
  Deno.mkdirSync(builds, { recursive: true });
  Deno.chmodSync(builds, 0o755);
  Deno.mkdirSync(`${prefix}/bin`, { recursive: true });
  const launcher = `${prefix}/bin/barge`;
  const before = buildOf(launcher);
  const build = await installBuild(root, builds);
  replaceFile(launcher, (temporary) => Deno.symlinkSync(`../lib/barge/${build}/bin/barge`, temporary));
  removeOldBuilds(builds, [build, before]);
  const names = links ? linkNames(Deno.readTextFileSync(new URL("main.ts", root))) : [];
  const unit = `${prefix}/${unitPlace}`;
  Deno.mkdirSync(unit.slice(0, unit.lastIndexOf("/")), { recursive: true });
  replaceFile(unit, (temporary) => {
    Deno.writeTextFileSync(temporary, unitText(prefix));
    Deno.chmodSync(temporary, 0o644);
  });
  return { launcher, unit, ...installLinks(`${prefix}/bin`, names) };
}
