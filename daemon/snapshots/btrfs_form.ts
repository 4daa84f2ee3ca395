/**
 * Snapshots as subvolumes of btrfs; mounts are containerd's.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { subvolumeId } from "./btrfs_ioctl.ts";
import type { SnapshotForm } from "./form.ts";
import { mountOf } from "./mount_of.ts";

/**
 * A directory holds the subvolume `fs`: a snapshot of its parent's. None is set read-only: committed ones are given to
 * nobody to write, views are mounted read-only, and so whatever is left over can be removed like any other tree.
 */
export const btrfsForm: SnapshotForm = {
  name: "btrfs",
  layers: "plain",
  rebases: false,
  mountName: "active snapshot",

  files: (directory) => `${directory}/fs`,

  async fill({ directory, parents: [parent] }, signal) {
    const { onTreeWorker } = await import("./tree_work.ts");
    const from = parent === undefined ? undefined : `${parent}/fs`;
    // On the worker, as the kernel waits for the disk here.
    await onTreeWorker({ kind: "make subvolume", path: `${directory}/fs`, from }, signal);
    if (parent === undefined) Deno.chmodSync(`${directory}/fs`, 0o755);
  },

  mounts({ directory, kind }) {
    const source = mountOf(directory)?.source;
    if (source === undefined) throw new Failure("Internal", `no mount has "${directory}"`);
    const subvolume = `subvolid=${subvolumeId(`${directory}/fs`)}`;
    return [{ type: "btrfs", source, options: kind === "active" ? [subvolume] : [subvolume, "ro"] }];
  },

  async usage(directory, parent, signal) {
    const { snapshotUsage } = await import("./tree_work.ts");
    return await snapshotUsage(`${directory}/fs`, parent === undefined ? undefined : `${parent}/fs`, signal);
  },

  async discard(directory) {
    const { onTreeWorker } = await import("./tree_work.ts");
    await onTreeWorker({ kind: "remove subvolume", path: `${directory}/fs` });
  },
};
