/**
 * Builds the virtual machine's kernel, first file system and root file system, once for each recipe; they are kept in
 * the user's cache directory.
 *
 * @module
 */
import { execute, succeed } from "../command.ts";
import { wantDebianSource } from "../debian_source.ts";
import { missingPeers } from "../peers.ts";
import {
  earlyModules,
  files,
  firstProcess,
  kernelPackage,
  leftOutDirectories,
  leftOutModules,
  maskedUnits,
  packages,
  recipeText,
} from "./recipe.ts";

/** What QEMU boots: paths of files that are not written to. */
export interface Image {
  readonly kernel: string;
  readonly firstFiles: string;
  readonly root: string;
}

/** All of the work together may take this long; measured: 60 s. */
const buildMsMax = 420_000;

/** Size of the root file system, a sparse file: a third of it is in use. */
const rootSize = "2G";

const environment = { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(bytes).toHex().slice(0, 16);
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * The image of the recipe; made now where it is not in the cache. Whoever comes while another makes it waits for that.
 * Throws where it cannot be made: no network, no package.
 */
export async function machineImage(): Promise<Image> {
  const cache = `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache`}/barge-tests`;
  const place = `${cache}/vm-${await digest(recipeText())}`;
  const image = { kernel: `${place}/kernel`, firstFiles: `${place}/first_files`, root: `${place}/root.ext4` };
  if (isThere(place)) return image;
  await Deno.mkdir(cache, { recursive: true });
  using lock = await Deno.open(`${cache}/vm.lock`, { create: true, write: true });
  await lock.lock(true);
  if (isThere(place)) return image;
  const work = await Deno.makeTempDir({ dir: cache, prefix: "vm-making-" });
  try {
    await Deno.mkdir(`${work}/made`);
    const version = await takeKernel(work);
    await makeFirstFiles(work, version);
    await makeRoot(work, version);
    await removeOlder(cache);
    await Deno.rename(`${work}/made`, place);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
  return image;
}

/**
 * Why there can be no image, undefined where there is one now. Where a program is missing it is not tried, as a test says
 * that itself.
 */
export async function missingImage(): Promise<string | undefined> {
  if (Deno.uid() !== 0 || missingPeers("debootstrap", "e2fsprogs", "qemu-system-x86").length > 0) return undefined;
  try {
    await machineImage();
    return undefined;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    console.log(`the virtual machine's image cannot be made: ${said}`);
    return `no image: ${said.split("\n", 1)[0]!.slice(0, 100)}`;
  }
}

/** Images of other recipes; a machine that runs one keeps the files that it has open. */
async function removeOlder(cache: string): Promise<void> {
  for await (const { name } of Deno.readDir(cache)) {
    if (/^vm-[0-9a-f]{16}$/.test(name)) await Deno.remove(`${cache}/${name}`, { recursive: true });
  }
}

/** Takes the kernel and its modules out of their package, without installing it; gives the kernel's version. */
async function takeKernel(work: string): Promise<string> {
  const find = async () => {
    const { stdout } = await execute(["apt-cache", "depends", kernelPackage], { env: environment });
    return /Depends: (linux-image-\S+)/.exec(stdout)?.[1];
  };
  let name = await find();
  if (name === undefined) {
    await execute(["apt-get", "update"], { env: environment, timeoutMs: buildMsMax });
    name = await find();
  }
  if (name === undefined) throw new Error(`apt knows no kernel: ${kernelPackage} has no dependency`);
  await Deno.mkdir(`${work}/package`);
  await succeed(["apt-get", "download", name], { cwd: `${work}/package`, env: environment, timeoutMs: buildMsMax });
  const [file] = [...Deno.readDirSync(`${work}/package`)];
  await succeed(["dpkg-deb", "-x", `${work}/package/${file!.name}`, `${work}/kernel`]);
  const version = name.slice("linux-image-".length);
  await Deno.copyFile(`${work}/kernel/boot/vmlinuz-${version}`, `${work}/made/kernel`);
  const modules = `${work}/kernel/lib/modules/${version}/kernel`;
  for (const directory of leftOutModules) {
    if (isThere(`${modules}/${directory}`)) await Deno.remove(`${modules}/${directory}`, { recursive: true });
  }
  return version;
}

/** The archive that the kernel unpacks into memory and starts from: busybox and the modules of the disk. */
async function makeFirstFiles(work: string, version: string): Promise<void> {
  const tree = `${work}/first`;
  await Deno.mkdir(`${tree}/bin`, { recursive: true });
  await Deno.mkdir(`${tree}/modules`);
  await Deno.copyFile("/bin/busybox", `${tree}/bin/busybox`);
  const listing = await succeed(["find", `${work}/kernel/lib/modules/${version}`, "-name", "*.ko"]);
  for (const module of earlyModules) {
    const path = listing.split("\n").find((line) => line.endsWith(`/${module}.ko`));
    // A kernel that has it built in needs no file; insmod's complaint is on the console then.
    if (path !== undefined) await Deno.copyFile(path, `${tree}/modules/${module}.ko`);
  }
  await Deno.writeTextFile(`${tree}/init`, firstProcess);
  await Deno.chmod(`${tree}/init`, 0o755);
  await succeed(["sh", "-c", `find . | busybox cpio -o -H newc > "$1"`, "sh", `${work}/made/first_files`], {
    cwd: tree,
  });
}

/** Debian with the packages and files of the recipe, as an ext4 file system. */
async function makeRoot(work: string, version: string): Promise<void> {
  const tree = `${work}/root`;
  const { mirror, suite } = await wantDebianSource();
  const include = `--include=${packages.join(",")}`;
  await succeed(["debootstrap", "--variant=minbase", include, suite, tree, mirror], { timeoutMs: buildMsMax });
  for (const directory of leftOutDirectories) await Deno.remove(`${tree}/${directory}`, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    await Deno.mkdir(`${tree}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${tree}/${path}`, text);
  }
  await Deno.mkdir(`${tree}/usr/local/lib/barge`, { recursive: true });
  await Deno.copyFile(Deno.execPath(), `${tree}/usr/local/lib/barge/deno`);
  await Deno.chmod(`${tree}/usr/local/lib/barge/deno`, 0o755);
  await Deno.symlink("../lib/barge/deno", `${tree}/usr/local/bin/deno`);
  await succeed(["cp", "-a", `${work}/kernel/lib/modules`, `${tree}/usr/lib/`]);
  await succeed(["chroot", tree, "/sbin/depmod", version]);
  await succeed(["chroot", tree, "/usr/sbin/useradd", "--create-home", "--uid", "1000", "alice"]);
  await succeed(["chroot", tree, "/bin/systemctl", "enable", "agent.service"]);
  for (const unit of maskedUnits) await Deno.symlink("/dev/null", `${tree}/etc/systemd/system/${unit}`);
  const options = ["-q", "-F", "-O", "^has_journal", "-d", tree];
  await succeed(["mkfs.ext4", ...options, `${work}/made/root.ext4`, rootSize], { timeoutMs: buildMsMax });
}
