/**
 * Snapshots as full copies, which every file system can.
 *
 * @module
 */
import type { SnapshotForm } from "./form.ts";
import { bindMount } from "./form.ts";

/** A directory is the whole file system: its parent's files copied, and what was changed since. */
export const nativeForm: SnapshotForm = {
  name: "native",
  layers: "plain",
  rebases: false,
  viewsAreParents: true,
  mountName: "snapshot mount",

  files: (directory) => directory,

  async fill({ directory, kind, parents: [parent] }, signal) {
    Deno.chmodSync(directory, 0o755);
    // A view is read-only, so the parent itself serves.
    if (kind === "view" || parent === undefined) return;
    const { copySnapshot } = await import("./tree_work.ts");
    await copySnapshot(parent, directory, signal);
  },

  mounts({ directory, kind, parents }) {
    const source = kind === "view" ? parents[0] ?? directory : directory;
    return [bindMount(source, kind === "active" ? "rw" : "ro", "rbind first")];
  },
};
