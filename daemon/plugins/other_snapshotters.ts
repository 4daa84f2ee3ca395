/**
 * The snapshotters that only some hosts can have: on most they say why they are skipped.
 *
 * @module
 */
import { SkipPlugin } from "./skip.ts";
import { type SnapshotterEntry, types } from "./builtin_types.ts";
import { type AnyPlugin, definePlugin } from "./plugin.ts";
import { blockfileSchema, btrfsSchema, devmapperSchema, erofsSchema, zfsSchema } from "./schemas.ts";

async function refuse(name: "zfs" | "devmapper" | "blockfile" | "erofs", directory: string): Promise<never> {
  const { reasonAgainst } = await import("../snapshots/availability.ts");
  throw new SkipPlugin(await reasonAgainst(name, directory));
}

/** A setting that would be ignored is an error of its own. */
function refuseConfigured(name: string, isConfigured: boolean): void {
  if (isConfigured) throw new SkipPlugin(`it is configured, but the ${name} snapshotter is not part of barge`);
}

const btrfs = definePlugin({
  type: types.snapshotter,
  id: "btrfs",
  requires: [],
  config: btrfsSchema,
  async init({ root, values, meta }): Promise<SnapshotterEntry> {
    const directory = values.rootPath === "" ? root : values.rootPath;
    const { reasonAgainst } = await import("../snapshots/availability.ts");
    const reason = await reasonAgainst("btrfs", directory);
    if (reason !== undefined) throw new SkipPlugin(reason);
    const { btrfsForm } = await import("../snapshots/btrfs_form.ts");
    meta.exports["root"] = directory;
    return { root: directory, place: { form: btrfsForm, rootPath: values.rootPath } };
  },
});

const zfs = definePlugin({
  type: types.snapshotter,
  id: "zfs",
  requires: [],
  config: zfsSchema,
  init: ({ root, values }): Promise<SnapshotterEntry> => refuse("zfs", values.rootPath === "" ? root : values.rootPath),
});

const devmapper = definePlugin({
  type: types.snapshotter,
  id: "devmapper",
  requires: [],
  config: devmapperSchema,
  init({ root, values }): Promise<SnapshotterEntry> {
    refuseConfigured("devmapper", values.poolName !== "" || values.baseImageSize !== "");
    return refuse("devmapper", root);
  },
});

const blockfile = definePlugin({
  type: types.snapshotter,
  id: "blockfile",
  requires: [],
  config: blockfileSchema,
  init({ root, values }): Promise<SnapshotterEntry> {
    refuseConfigured("blockfile", values.scratchFile !== "");
    return refuse("blockfile", root);
  },
});

const erofs = definePlugin({
  type: types.snapshotter,
  id: "erofs",
  requires: [],
  config: erofsSchema,
  init: ({ root }): Promise<SnapshotterEntry> => refuse("erofs", root),
});

/** Rows of the table. */
export const otherSnapshotters: readonly AnyPlugin[] = [btrfs, zfs, devmapper, blockfile, erofs];
