/**
 * The plugins below the services: stores, events, garbage collection, mounts, differ.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { StreamProcessor } from "../config/config.ts";
import type { ValuesOf } from "../config/schema.ts";
import { GarbageCollector } from "../gc/collector.ts";
import { restoreInterrupted } from "../gc/leftovers.ts";
import { EventExchange } from "../events/exchange.ts";
import { gcMetrics } from "../server/gc_metrics.ts";
import { prependPrograms } from "../server/process_settings.ts";
import { ownStores } from "../store.ts";
import { StreamTable } from "../streams/message_stream.ts";
import type { SnapshotterPlace } from "../snapshots/places.ts";
import { type Shared, type SnapshotterEntry, types } from "./builtin_types.ts";
import type { PluginContext, PluginMeta } from "./context.ts";
import { otherSnapshotters } from "./other_snapshotters.ts";
import { type AnyPlugin, definePlugin } from "./plugin.ts";
import { metadataSchema, nativeSchema, optSchema, overlayfsSchema, schedulerSchema } from "./schemas.ts";

/** This machine, as containerd writes platforms. */
export const hostPlatform = {
  os: "linux",
  architecture: Deno.build.arch === "x86_64" ? "amd64" : "arm64",
  ...(Deno.build.arch === "x86_64" ? {} : { variant: "v8" }),
} as const;

const content = definePlugin({
  type: types.content,
  id: "content",
  requires: [],
  init({ root, meta }) {
    meta.exports["root"] = root;
    return { root };
  },
});

const events = definePlugin({
  type: types.events,
  id: "exchange",
  requires: [],
  init: () => new EventExchange(),
});

/** `usual` is the directory where no other is configured. */
function atPlace(place: SnapshotterPlace, usual: string, { exports }: PluginMeta): SnapshotterEntry {
  const root = place.rootPath === undefined || place.rootPath === "" ? usual : place.rootPath;
  exports["root"] = root;
  return { root, place };
}

const native = definePlugin({
  type: types.snapshotter,
  id: "native",
  requires: [],
  config: nativeSchema,
  platforms: [hostPlatform],
  async init({ root, values, meta }): Promise<SnapshotterEntry> {
    const { nativeForm } = await import("../snapshots/native_form.ts");
    return atPlace({ form: nativeForm, rootPath: values.rootPath }, root, meta);
  },
});

const overlayfs = definePlugin({
  type: types.snapshotter,
  id: "overlayfs",
  requires: [],
  config: overlayfsSchema,
  platforms: [hostPlatform],
  async init({ root, values, meta }): Promise<SnapshotterEntry> {
    const { makeOverlayForm } = await import("../snapshots/overlay_form.ts");
    const { mountOptions, upperdirLabel, slowChown, syncRemove, rootPath } = values;
    const form = makeOverlayForm({ mountOptions, upperdirLabel, slowChown });
    const { inUserNamespace } = await import("../diff/user_namespace.ts");
    const { kernelMapsLayers } = await import("../snapshots/id_mapping.ts");
    // Clients choose by these how snapshots of containers in user namespaces get their owners, and how they unpack.
    if (kernelMapsLayers()) meta.capabilities.push("remap-ids");
    if (!slowChown) meta.capabilities.push("only-remap-ids");
    if (!inUserNamespace()) meta.capabilities.push("rebase");
    return atPlace({ form, rootPath, syncRemove }, root, meta);
  },
});

const metadata = definePlugin({
  type: types.metadata,
  id: "bolt",
  requires: [types.content, types.events, types.snapshotter],
  config: metadataSchema,
  async init(context) {
    const { config, values, meta, signal } = context;
    if (values.noSync) {
      throw new Failure(
        "NotImplemented",
        "no_sync: this store waits for the disk once for many changes, and always does",
      );
    }
    const waitMs = config.timeout("io.containerd.timeout.bolt.open");
    const stores = await ownStores(config.root, { waitMs, signal });
    stores.tellStuck((sentence) => context.log.warn(sentence));
    try {
      stores.useSnapshotters([...context.working(types.snapshotter).values()].map(({ place }) => place));
      await restoreInterrupted(stores);
    } catch (error) {
      stores.close();
      throw error;
    }
    meta.exports["policy"] = values.contentSharingPolicy;
    meta.exports["path"] = stores.database.path;
    return stores;
  },
});

function scheduler({ registry }: Shared): AnyPlugin {
  return definePlugin({
    type: types.collector,
    id: "scheduler",
    requires: [types.metadata, types.events],
    config: schedulerSchema,
    init(context) {
      const { values } = context;
      const collector = new GarbageCollector({
        stores: context.one(types.metadata),
        events: context.one(types.events),
        thresholds: {
          pauseThreshold: values.pauseThreshold,
          deletionThreshold: values.deletionThreshold,
          mutationThreshold: values.mutationThreshold,
          scheduleDelayMs: values.scheduleDelay,
          startupDelayMs: values.startupDelay,
        },
        observe: gcMetrics(registry, (error) => context.log.error("failed to collect garbage", { error })),
      });
      collector.start();
      return {
        collect: (signal: AbortSignal) => collector.collect(signal),
        [Symbol.asyncDispose]: () => collector.stop(),
      };
    },
  });
}

const streams = definePlugin({
  type: types.streams,
  id: "manager",
  requires: [types.metadata],
  init: () => new StreamTable(),
});

const mounts = definePlugin({
  type: types.mounts,
  id: "bolt",
  requires: [types.metadata, types.snapshotter],
  async init(context) {
    const { MountManager } = await import("../mounts/mount_manager.ts");
    const roots = [...context.working(types.snapshotter).values()].map(({ root }) => root);
    return await MountManager.open({ directory: context.state, roots }, (sentence) => context.log.warn(sentence));
  },
});

const differ = definePlugin({
  type: types.differ,
  id: "walking",
  requires: [types.metadata, types.mounts],
  platforms: [hostPlatform],
  async init({ config }) {
    const mountDirectory = await emptyMountDirectory(config.root);
    const { Differ } = await import("../diff/differ.ts");
    return new Differ({ mountDirectory, processors: processorsOf(config.streamProcessors) });
  },
});

/** What a killed daemon left mounted there is of no use to anybody. */
async function emptyMountDirectory(root: string): Promise<string> {
  const directory = `${root}/tmpmounts`;
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const left = [...Deno.readDirSync(directory)];
  if (left.length > 0) {
    const { unmountAll } = await import("../mounts/perform.ts");
    for (const { name } of left) {
      unmountAll(`${directory}/${name}`);
      // Not recursively: what is still mounted there must not be removed.
      Deno.removeSync(`${directory}/${name}`);
    }
  }
  return directory;
}

function processorsOf(processors: ReadonlyMap<string, StreamProcessor>): readonly (StreamProcessor & { id: string })[] {
  return [...processors].map(([id, processor]) => ({ id, ...processor }));
}

const opt = definePlugin({
  type: types.internal,
  id: "opt",
  requires: [],
  config: optSchema,
  init({ values, meta }: PluginContext<ValuesOf<typeof optSchema.fields>>) {
    meta.exports["path"] = values.path;
    prependPrograms(values.path);
    return {};
  },
});

/** Rows of the table, in containerd's order. */
export function storePlugins(shared: Shared): readonly AnyPlugin[] {
  return [
    content,
    native,
    overlayfs,
    ...otherSnapshotters,
    events,
    metadata,
    scheduler(shared),
    streams,
    mounts,
    differ,
    opt,
  ];
}
