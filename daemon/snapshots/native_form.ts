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

  files: (directory) => directory,

  async fill(directory, kind, parent) {
    Deno.chmodSync(directory, 0o755);
    // A view is read-only, so the parent itself serves.
    if (kind === "view" || parent === undefined) return;
    const { copyTree } = await import("./copy_tree.ts");
    await copyTree(parent, directory);
  },

  mounts(directory, kind, parents) {
    const source = kind === "view" ? parents[0] ?? directory : directory;
    return [bindMount(source, kind === "active" ? "rw" : "ro", "rbind first")];
  },
};
