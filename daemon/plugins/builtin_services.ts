/**
 * The services as plugins: `service.v1` makes one, `grpc.v1` offers it to clients. Either can be disabled.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { ServiceDefinition, ServiceOf } from "../../api/rpc/definition.ts";
import { type ServiceEntry, type Shared, types } from "./builtin_types.ts";
import type { PluginContext } from "./context.ts";
import { type AnyPlugin, definePlugin } from "./plugin.ts";
import { diffServiceSchema, metadataSchema, tasksServiceSchema, transferSchema } from "./schemas.ts";
import type { PluginType } from "./types.ts";

function entry<D extends ServiceDefinition>(definition: D, service: ServiceOf<D>): ServiceEntry {
  return { register: (table) => void table.add(definition, service) };
}

type Make = (context: PluginContext<unknown>) => Promise<ServiceEntry>;

/** A service that is made by one plugin and offered by another. */
function pair(name: string, requires: readonly PluginType<unknown>[], make: Make): AnyPlugin[] {
  const id = `${name}-service`;
  return [
    definePlugin({ type: types.service, id, requires, init: make }),
    offered(name, types.service, id),
  ];
}

/** Offers what the plugin of that type and id has made. */
function offered(name: string, type: PluginType<ServiceEntry>, id: string): AnyPlugin {
  return definePlugin({
    type: types.grpc,
    id: name,
    requires: [type],
    init(context): ServiceEntry {
      const made = context.working(type).get(id);
      if (made === undefined) throw new Failure("NotFound", `plugin ${type.name}.${id}`);
      return made;
    },
  });
}

const containers = pair("containers", [types.events, types.metadata], async (context) => {
  const { ContainersDefinition } = await import("../../api/gen/services/containers/v1/containers.ts");
  const { ContainersService } = await import("../services/containers.ts");
  const parts = { stores: context.one(types.metadata), events: context.one(types.events) };
  return entry(ContainersDefinition, new ContainersService(parts));
});

const content = pair("content", [types.metadata, types.events], async (context) => {
  const { servedContentDefinition } = await import("../services/content_pieces.ts");
  const { ContentService } = await import("../services/content.ts");
  const { contentSharingPolicy } = context.config.plugin(metadataSchema);
  return entry(
    servedContentDefinition,
    new ContentService({
      stores: context.one(types.metadata),
      events: context.one(types.events),
      policy: contentSharingPolicy === "isolated" ? "isolated" : "shared",
    }),
  );
});

const diff: AnyPlugin[] = [
  definePlugin({
    type: types.service,
    id: "diff-service",
    requires: [types.differ, types.metadata, types.events],
    config: diffServiceSchema,
    async init(context) {
      const differs = context.working(types.differ);
      const differ = context.values.default.map((name) => differs.get(name)).find((one) => one !== undefined);
      if (differ === undefined) {
        const wanted = context.values.default.join(", ");
        throw new Failure("NotFound", `needed differ ${wanted}: there is ${[...differs.keys()].join(", ") || "none"}`);
      }
      const { DiffDefinition } = await import("../../api/gen/services/diff/v1/diff.ts");
      const { DiffService } = await import("../services/diff.ts");
      const stores = context.one(types.metadata);
      const { syncFs } = context.values;
      return entry(DiffDefinition, new DiffService({ stores, events: context.one(types.events), differ, syncFs }));
    },
  }),
  offered("diff", types.service, "diff-service"),
];

const images = pair("images", [types.metadata, types.collector, types.events], async (context) => {
  const { ImagesDefinition } = await import("../../api/gen/services/images/v1/images.ts");
  const { ImagesService } = await import("../services/images.ts");
  const stores = context.one(types.metadata);
  const service = new ImagesService({
    stores,
    events: context.one(types.events),
    collector: context.one(types.collector),
  });
  return entry(ImagesDefinition, service);
});

const namespaces = pair("namespaces", [types.events, types.metadata], async (context) => {
  const { NamespacesDefinition } = await import("../../api/gen/services/namespaces/v1/namespace.ts");
  const { NamespacesService } = await import("../services/namespaces.ts");
  const parts = { stores: context.one(types.metadata), events: context.one(types.events) };
  return entry(NamespacesDefinition, new NamespacesService(parts));
});

const snapshots = pair("snapshots", [types.metadata, types.events], async (context) => {
  const { SnapshotsDefinition } = await import("../../api/gen/services/snapshots/v1/snapshots.ts");
  const { SnapshotsService } = await import("../services/snapshots.ts");
  const parts = { stores: context.one(types.metadata), events: context.one(types.events) };
  return entry(SnapshotsDefinition, new SnapshotsService(parts));
});

const tasks: AnyPlugin[] = [
  definePlugin({
    type: types.service,
    id: "tasks-service",
    requires: [types.differ, types.events, types.metadata, types.runtime],
    config: tasksServiceSchema,
    async init(context) {
      const { blockioConfigFile, rdtConfigFile } = context.values;
      if (blockioConfigFile !== "" || rdtConfigFile !== "") {
        throw new Failure("NotImplemented", "classes of block I/O and caches (blockio, rdt) are not supported");
      }
      const { TasksDefinition } = await import("../../api/gen/services/tasks/v1/tasks.ts");
      const { TasksService } = await import("../services/tasks.ts");
      const parts = { stores: context.one(types.metadata), tasks: context.one(types.runtime) };
      const checkpoints = async () => {
        const { CheckpointBlobs } = await import("../services/checkpoint_blobs.ts");
        const [differ] = context.working(types.differ).values();
        if (differ === undefined) throw new Failure("NotFound", "checkpoints that are blobs need a differ");
        return new CheckpointBlobs({ stores: parts.stores, events: context.one(types.events), differ });
      };
      return entry(TasksDefinition, new TasksService({ ...parts, checkpoints }));
    },
  }),
  offered("tasks", types.service, "tasks-service"),
];

const leases: AnyPlugin[] = [
  definePlugin({
    type: types.leases,
    id: "manager",
    requires: [types.metadata, types.collector],
    async init(context) {
      const { LeasesDefinition } = await import("../../api/gen/services/leases/v1/leases.ts");
      const { LeasesService } = await import("../services/leases.ts");
      const parts = { stores: context.one(types.metadata), collector: context.one(types.collector) };
      return entry(LeasesDefinition, new LeasesService(parts));
    },
  }),
  offered("leases", types.leases, "manager"),
];

const sandboxes: AnyPlugin[] = [
  definePlugin({
    type: types.sandboxStore,
    id: "local",
    requires: [types.metadata],
    async init(context) {
      const { StoreDefinition } = await import("../../api/gen/services/sandbox/v1/sandbox.ts");
      const { SandboxStoreService } = await import("../services/sandbox_store.ts");
      return entry(StoreDefinition, new SandboxStoreService({ stores: context.one(types.metadata) }));
    },
  }),
  offered("sandboxes", types.sandboxStore, "local"),
  definePlugin({
    type: types.grpc,
    id: "sandbox-controllers",
    requires: [types.events],
    async init(context) {
      const { ControllerDefinition } = await import("../../api/gen/services/sandbox/v1/sandbox.ts");
      const { SandboxControllerService } = await import("../services/sandbox_controller.ts");
      const parts = { events: context.one(types.events), controllers: new Map() };
      return entry(ControllerDefinition, new SandboxControllerService(parts));
    },
  }),
];

const transfer: AnyPlugin[] = [
  definePlugin({
    type: types.transfer,
    id: "local",
    requires: [types.leases, types.metadata, types.differ, types.snapshotter, types.streams, types.service],
    config: transferSchema,
    async init(context) {
      const { TransferDefinition } = await import("../../api/gen/services/transfer/v1/transfer.ts");
      const { ImagesService } = await import("../services/images.ts");
      const { TransferService } = await import("../services/transfer/transfer.ts");
      const stores = context.one(types.metadata);
      const events = context.one(types.events);
      const collector = context.one(types.collector);
      const service = new ImagesService({ stores, events, collector });
      const streams = context.one(types.streams);
      const { configPath, maxConcurrentDownloads: atOnce, checkPlatformSupported: hostOnly } = context.values;
      const hostDirectories = configPath.split(":").filter((directory) => directory !== "");
      const { log } = context;
      return entry(
        TransferDefinition,
        new TransferService({
          ...{ stores, streams, images: service, events, log, hostOnly },
          ...(hostDirectories.length === 0 ? {} : { hostDirectories }),
          ...(atOnce === 0 ? {} : { atOnce }),
        }),
      );
    },
  }),
  offered("transfer", types.transfer, "local"),
];

const plain: AnyPlugin[] = [
  definePlugin({
    type: types.grpc,
    id: "events",
    requires: [types.events],
    async init(context) {
      const { EventsDefinition } = await import("../../api/gen/services/events/v1/events.ts");
      const { EventsService } = await import("../services/events.ts");
      return entry(EventsDefinition, new EventsService({ exchange: context.one(types.events) }));
    },
  }),
  definePlugin({
    type: types.ttrpc,
    id: "events",
    requires: [types.events],
    async init(context) {
      const { EventsDefinition } = await import("../../api/gen/services/ttrpc/events/v1/events.ts");
      const { ShimEventsService } = await import("../services/events.ts");
      return entry(EventsDefinition, new ShimEventsService({ exchange: context.one(types.events) }));
    },
  }),
  definePlugin({
    type: types.grpc,
    id: "mounts",
    requires: [types.mounts, types.metadata],
    async init(context) {
      const { MountsDefinition } = await import("../../api/gen/services/mounts/v1/mounts.ts");
      const { MountsService } = await import("../services/mounts.ts");
      const parts = { stores: context.one(types.metadata), manager: context.one(types.mounts) };
      return entry(MountsDefinition, new MountsService(parts));
    },
  }),
  definePlugin({
    type: types.grpc,
    id: "streaming",
    requires: [types.streams],
    async init(context) {
      const { StreamingDefinition } = await import("../../api/gen/services/streaming/v1/streaming.ts");
      const { StreamingService } = await import("../services/streaming.ts");
      return entry(StreamingDefinition, new StreamingService({ streams: context.one(types.streams) }));
    },
  }),
  definePlugin({
    type: types.grpc,
    id: "version",
    requires: [],
    async init() {
      const { VersionDefinition } = await import("../../api/gen/services/version/v1/version.ts");
      const { VersionService } = await import("../services/version.ts");
      return entry(VersionDefinition, new VersionService());
    },
  }),
];

const deprecations = definePlugin({
  type: types.warnings,
  id: "deprecations",
  requires: [],
  async init({ config, log }) {
    const { Deprecations } = await import("../deprecation/deprecations.ts");
    const { deprecatedSettings, hasOldCgroups } = await import("../deprecation/find_deprecated.ts");
    const met = new Deprecations(log);
    for (const name of deprecatedSettings(config.plugins)) met.emit(name);
    if (hasOldCgroups()) met.emit("cgroup-v1");
    return met;
  },
});

function introspection({ records }: Shared): AnyPlugin[] {
  return pair("introspection", [types.warnings], async (context) => {
    const { config } = context;
    const met = context.optional(types.warnings);
    const { IntrospectionDefinition } = await import("../../api/gen/services/introspection/v1/introspection.ts");
    const { IntrospectionService } = await import("../services/introspection.ts");
    const directory = `${config.root}/io.containerd.grpc.v1.introspection`;
    const service = new IntrospectionService({ plugins: records, deprecations: () => met?.list() ?? [], directory });
    return entry(IntrospectionDefinition, service);
  });
}

const health = definePlugin({
  type: types.grpc,
  id: "healthcheck",
  requires: [],
  async init() {
    const { HealthDefinition } = await import("../../api/gen/grpc/health/v1/health.ts");
    const { HealthService } = await import("../services/health.ts");
    const service = new HealthService();
    return { ...entry(HealthDefinition, service), drain: () => service.drain() };
  },
});

/** Rows of the table, in containerd's order. */
export function servicePlugins(shared: Shared): readonly AnyPlugin[] {
  return [
    deprecations,
    ...introspection(shared),
    ...containers,
    ...content,
    ...diff,
    ...images,
    ...leases,
    ...namespaces,
    ...snapshots,
    ...tasks,
    ...sandboxes,
    ...transfer,
    ...plain,
    health,
  ];
}
