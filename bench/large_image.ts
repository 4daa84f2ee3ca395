/**
 * An image of three layers and 250 MB, made of this machine's own files so that it compresses as real ones do.
 *
 * @module
 */
import { outputOf } from "./measure.ts";

/** Directories of programs, libraries and texts, of which there is something everywhere. */
const sources = [["/usr/lib"], ["/usr/bin", "/usr/sbin"], ["/usr/share", "/usr/include"]];

/**
 * Writes an OCI layout with three gzip layers of about `layerBytes` each (uncompressed) with umoci; tag `latest`. Each
 * holds `/part-N/true`.
 */
export async function writeLargeImage(layout: string, scratch: string, layerBytes: number): Promise<void> {
  await outputOf(["umoci", "init", "--layout", layout]);
  await outputOf(["umoci", "new", "--image", `${layout}:latest`]);
  for (const [index, directories] of sources.entries()) {
    const tree = `${scratch}/layer-${index}`;
    await copyUpTo(directories, tree, layerBytes);
    await Deno.copyFile("/usr/bin/busybox", `${tree}/true`);
    await outputOf(["umoci", "insert", "--image", `${layout}:latest`, tree, `/part-${index}`]);
    await Deno.remove(tree, { recursive: true });
  }
}

/** Copies regular files and links with their directories until there are enough bytes. */
async function copyUpTo(directories: readonly string[], target: string, bytesMax: number): Promise<void> {
  let bytes = 0;
  const copy = async (directory: string): Promise<void> => {
    await Deno.mkdir(`${target}${directory}`, { recursive: true });
    for (const { name, isDirectory, isSymlink, isFile } of [...Deno.readDirSync(directory)].sort(byName)) {
      if (bytes >= bytesMax) return;
      const path = `${directory}/${name}`;
      if (isDirectory) await copy(path);
      else if (isSymlink) await Deno.symlink(await Deno.readLink(path), `${target}${path}`);
      else if (isFile) {
        const { size } = await Deno.stat(path);
        // A few huge files would make up a whole layer.
        if (size > bytesMax / 8) continue;
        await Deno.copyFile(path, `${target}${path}`);
        bytes += size;
      }
    }
  };
  for (const directory of directories) await copy(directory);
}

function byName(a: Deno.DirEntry, b: Deno.DirEntry): number {
  return a.name < b.name ? -1 : 1;
}
