/**
 * What a benchmark makes on the host and removes at its end.
 *
 * @module
 */
import { outputOf } from "./measure.ts";

/** A directory, and tmpfs mounts in it. */
export class BenchScratch implements AsyncDisposable {
  readonly #mounts: string[] = [];

  constructor(readonly path: string) {}

  /** Makes a directory below. */
  async directory(name: string): Promise<string> {
    const path = `${this.path}/${name}`;
    await Deno.mkdir(path, { recursive: true });
    return path;
  }

  /** Makes a directory below with a file system in memory. */
  async memory(name: string): Promise<string> {
    const path = await this.directory(name);
    await outputOf(["mount", "-t", "tmpfs", "-o", "mode=755", "barge-bench", path]);
    this.#mounts.push(path);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const path of this.#mounts.reverse()) await outputOf(["umount", "-l", path]);
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Makes one; on disk, where TMPDIR is. */
export async function makeBenchScratch(): Promise<BenchScratch> {
  return new BenchScratch(await Deno.makeTempDir({ prefix: "barge-bench-" }));
}

/** Whether a program is in PATH. */
export function isInstalled(program: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return Deno.statSync(`${directory}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

/** A bundle with busybox, whose spec `runc spec` or barge itself has written. */
export async function makeBenchBundle(
  path: string,
  barge: readonly string[],
  cgroupsPath?: string,
  args: readonly string[] = ["true"],
): Promise<void> {
  await Deno.mkdir(`${path}/rootfs/bin`, { recursive: true });
  await Deno.copyFile("/usr/bin/busybox", `${path}/rootfs/bin/busybox`);
  for (const name of ["sh", "true"]) await Deno.symlink("busybox", `${path}/rootfs/bin/${name}`);
  const runtime = isInstalled("runc") ? ["runc"] : [...barge, "oci"];
  await outputOf([...runtime, "spec", "--bundle", path]);
  const spec = JSON.parse(await Deno.readTextFile(`${path}/config.json`));
  spec.process.terminal = false;
  spec.process.args = args;
  if (cgroupsPath !== undefined) spec.linux.cgroupsPath = cgroupsPath;
  await Deno.writeTextFile(`${path}/config.json`, JSON.stringify(spec));
}
