/**
 * Mounts with ids mapped, for clients of containerd before version 2: those hand the mounts of a snapshot to mount(2)
 * themselves, to look at its users and groups, and the kernel does not know `uidmap=` and `gidmap=`.
 *
 * They get mounts without; the task that they make of them gets the maps back, from the labels of its snapshot.
 *
 * @module
 */
import type { Mount } from "../../api/gen/types/mount.ts";
import type { CallContext } from "../../api/rpc/context.ts";
import type { ContainerInfo } from "../metadata/container_store.ts";
import { idMappingOf, kernelMapsLayers } from "../snapshots/id_mapping.ts";
import type { Snapshotter } from "../snapshots/snapshotter.ts";

/** containerd 2.0 was the first to be built with this version of grpc-go or a later one: 1.7 has 1.59 at most. */
const firstMinor = 60;

/** Whether the client is a Go program that cannot mount what has ids mapped. */
export function lacksMappedMounts({ metadata }: Pick<CallContext, "metadata">): boolean {
  const [, major, minor] = /(?:^|\s)grpc-go\/(\d+)\.(\d+)/.exec(metadata.get("user-agent") ?? "") ?? [];
  return major === "1" && Number(minor) < firstMinor;
}

/** The mounts as such a client can make them. */
export function withoutMaps(mounts: readonly Mount[]): Mount[] {
  return mounts.map((mount) => ({ ...mount, options: mount.options.filter((option) => !/^[ug]idmap=/.test(option)) }));
}

/** The mounts of a task's root, with the maps that the labels of the container's snapshot have. */
export async function withMaps(
  mounts: readonly Mount[],
  { snapshotKey = "" }: Pick<ContainerInfo, "snapshotKey">,
  snapshotter: Pick<Snapshotter, "stat"> | undefined,
): Promise<Mount[]> {
  const [mount] = mounts;
  if (mount === undefined || mounts.length > 1 || snapshotKey === "" || snapshotter === undefined) return [...mounts];
  if (!["bind", "overlay"].includes(mount.type) || !kernelMapsLayers()) return [...mounts];
  const mapping = idMappingOf((await snapshotter.stat(snapshotKey)).labels);
  if (mapping === undefined) return [...mounts];
  const maps = [`uidmap=${mapping.uidmap}`, `gidmap=${mapping.gidmap}`];
  return withoutMaps(mounts).map((mount) => ({ ...mount, options: [...maps, ...mount.options] }));
}
