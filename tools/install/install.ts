/**
 * Puts barge below a prefix:
 *
 * ```text
 * bin/barge             the launcher, a static executable that barge emits itself
 * bin/NAME              a symbolic link to it for each name in main.ts's table
 * lib/barge/deno        a copy of the Deno that installed it, which may live in a passing cache
 * lib/barge/main.js …   the bundled program
 * lib/barge/cache/      what Deno keeps between runs
 * lib/systemd/system/barge.service
 *                       the daemon's unit
 * ```
 *
 * @module
 */
import { launcherElf } from "../../ffi/elf/launcher.ts";
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

/** Fills a new directory with everything that belongs to `lib/barge`. */
async function fillLibrary(root: URL, directory: string): Promise<void> {
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
  Deno.chmodSync(directory, 0o755);
}

/** Exchanges `lib/barge` for a new one. Programs that run keep the files that they have open. */
async function installLibrary(root: URL, prefix: string): Promise<void> {
  const place = `${prefix}/lib/barge`;
  Deno.mkdirSync(`${prefix}/lib`, { recursive: true });
  const fresh = await Deno.makeTempDir({ dir: `${prefix}/lib`, prefix: ".barge-" });
  const old = `${fresh}.old`;
  try {
    await fillLibrary(root, fresh);
    if (status(place) !== undefined) Deno.renameSync(place, old);
    Deno.renameSync(fresh, place);
  } finally {
    for (const path of [fresh, old]) if (status(path) !== undefined) Deno.removeSync(path, { recursive: true });
  }
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
  await installLibrary(root, prefix);
  Deno.mkdirSync(`${prefix}/bin`, { recursive: true });
  const launcher = `${prefix}/bin/barge`;
  replaceFile(launcher, (temporary) => writeExecutable(temporary, launcherElf()));
  await warmCodeCache(`${prefix}/lib/barge`);
  const names = links ? linkNames(Deno.readTextFileSync(new URL("main.ts", root))) : [];
  const unit = `${prefix}/${unitPlace}`;
  Deno.mkdirSync(unit.slice(0, unit.lastIndexOf("/")), { recursive: true });
  replaceFile(unit, (temporary) => {
    Deno.writeTextFileSync(temporary, unitText(prefix));
    Deno.chmodSync(temporary, 0o644);
  });
  return { launcher, unit, ...installLinks(`${prefix}/bin`, names) };
}
