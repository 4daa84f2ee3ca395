/**
 * The mounts of a task's root file system, as far as the daemon makes them.
 *
 * @module
 */
import { isFailure } from "../../api/errors.ts";
import type { Mount } from "../../api/gen/types/mount.ts";
import type { Activation } from "../mounts/activation.ts";
import type { MountManager } from "../mounts/mount_manager.ts";

/** Makes those that no shim could make; gives what is left for the shim. Throws what mounting met. */
export async function activateRootfs(
  mounts: MountManager,
  { namespace, id, rootfs }: { readonly namespace: string; readonly id: string; readonly rootfs: readonly Mount[] },
  signal: AbortSignal,
): Promise<readonly Mount[]> {
  if (rootfs.length === 0) return rootfs;
  const options = { labels: { "containerd.io/gc.bref.container": id }, temporary: false };
  try {
    return systemMounts(await mounts.activate(namespace, id, rootfs, options, signal));
  } catch (error) {
    if (isFailure(error, "NotImplemented")) return rootfs;
    if (isFailure(error, "AlreadyExists")) return systemMounts(mounts.info(namespace, id));
    throw error;
  }
}

function systemMounts({ system }: Activation): Mount[] {
  return system.map(({ type, source, target, options }) => ({ type, source, target, options: [...options] }));
}
