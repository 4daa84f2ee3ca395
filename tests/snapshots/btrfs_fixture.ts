/**
 * A btrfs file system on a loop device.
 *
 * @module
 */
import { execute, succeed } from "../command.ts";
import { missingPrograms } from "../registry.ts";

/** Why there can be none here; undefined where there can. */
export const btrfsProblem: string | undefined = await problem();

async function problem(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "needs root";
  const missing = missingPrograms("mkfs.btrfs", "losetup");
  if (missing.length > 0) return `needs ${missing.join(" and ")}`;
  if (!Deno.readTextFileSync("/proc/filesystems").includes("\tbtrfs\n")) return "the kernel has no btrfs";
  const { code } = await execute(["losetup", "--find"]);
  return code === 0 ? undefined : "there is no loop device";
}

/** Makes one, gives its directory to the body, and takes it away. */
export async function withBtrfs(body: (directory: string) => Promise<void>): Promise<void> {
  const place = await Deno.makeTempDir({ prefix: "barge-btrfs-" });
  try {
    const image = await Deno.open(`${place}/image`, { write: true, create: true });
    await image.truncate(200 << 20);
    image.close();
    await succeed(["mkfs.btrfs", "--quiet", `${place}/image`]);
    await Deno.mkdir(`${place}/mounted`);
    await succeed(["mount", "-o", "loop", `${place}/image`, `${place}/mounted`]);
    try {
      await body(`${place}/mounted`);
    } finally {
      await succeed(["umount", `${place}/mounted`]);
    }
  } finally {
    await Deno.remove(place, { recursive: true });
  }
}
