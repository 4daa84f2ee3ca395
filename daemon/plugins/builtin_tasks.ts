/**
 * What runs containers, as plugins: the starting of shims, and the tasks that they hold.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import { NamespacesDefinition } from "../../api/gen/services/namespaces/v1/namespace.ts";
import { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import { namespaceKey } from "../../api/rpc/context.ts";
import { groupingOf } from "../../shim/server/grouping.ts";
import { restartPolicies } from "../tasks/restart_policy.ts";
import { hostPlatform } from "./builtin_stores.ts";
import { type Shared, types } from "./builtin_types.ts";
import { type AnyPlugin, definePlugin } from "./plugin.ts";
import {
  cgroupsMonitorSchema,
  grpcServerSchema,
  metricsServerSchema,
  restartMonitorSchema,
  runtimeSchema,
  shimManagerSchema,
  ttrpcServerSchema,
} from "./schemas.ts";

function shims({ reactor }: Shared): AnyPlugin {
  return definePlugin({
    type: types.shims,
    id: "manager",
    requires: [types.events, types.metadata],
    config: shimManagerSchema,
    async init({ config, values, log }) {
      if (values.socketDir !== "") {
        throw new Failure("NotImplemented", "socket_dir: shims choose the directory of their sockets themselves");
      }
      const [{ ShimLauncher }, { OwnShims }] = await Promise.all([
        import("../tasks/launcher.ts"),
        import("../tasks/own_shims.ts"),
      ]);
      const { address } = config.plugin(grpcServerSchema);
      const ttrpcAddress = config.plugin(ttrpcServerSchema).address;
      const publishBinary = Deno.env.get("BARGE_ARGV0") ?? Deno.execPath();
      const surroundings = {
        ...{ address, ttrpcAddress, publishBinary, debug: log.enabled("debug"), env: values.env },
        ...{ grouping: groupingOf(values.shimGroup), places: values.shimPlaces },
      };
      return new ShimLauncher(surroundings, log, new OwnShims({ reactor, log, surroundings, spare: values.spareShim }));
    },
  });
}

function tasks({ reactor }: Shared): AnyPlugin {
  return definePlugin({
    type: types.runtime,
    id: "task",
    requires: [types.shims, types.mounts, types.events, types.metadata],
    config: runtimeSchema,
    async init(context) {
      const { config, root, state, values, log, meta } = context;
      for (const platform of values.platforms) {
        const [os = "", architecture = "", variant] = platform.split("/");
        meta.platforms.push({ os, architecture, ...variant === undefined ? {} : { variant } });
      }
      meta.exports["log-uri-schemes"] = "fifo,binary,binary-v2,file";
      const { TaskManager } = await import("../tasks/manager.ts");
      Deno.mkdirSync(state, { recursive: true, mode: 0o711 });
      Deno.mkdirSync(root, { recursive: true, mode: 0o711 });
      const stores = context.one(types.metadata);
      return await TaskManager.open({
        places: { root, state },
        launcher: context.one(types.shims),
        events: context.one(types.events),
        mounts: context.one(types.mounts),
        reactor,
        log,
        deadShim: values.deadShim === "cleanup" ? "cleanup" : "adopt",
        deadlines: {
          stateMs: config.timeout("io.containerd.timeout.task.state"),
          statsMs: config.timeout("io.containerd.timeout.metrics.shimstats"),
          loadMs: config.timeout("io.containerd.timeout.shim.load"),
          cleanupMs: config.timeout("io.containerd.timeout.shim.cleanup"),
          shutdownMs: config.timeout("io.containerd.timeout.shim.shutdown"),
        },
      }, async (namespace, id) => (await stores.of(namespace).containers.find(id))?.runtime);
    },
  });
}

function cgroups({ registry }: Shared): AnyPlugin {
  return definePlugin({
    type: types.taskMonitor,
    id: "cgroups",
    requires: [types.events, types.runtime, types.metadata],
    config: cgroupsMonitorSchema,
    platforms: [hostPlatform],
    async init(context) {
      // What nobody can read is not asked for.
      if (context.values.noPrometheus || context.config.plugin(metricsServerSchema).address === "") return {};
      const { addContainerMetrics } = await import("../tasks/metrics_source.ts");
      const stores = context.one(types.metadata);
      const runtimeOf = async (namespace: string, id: string) =>
        (await stores.of(namespace).containers.find(id))?.runtime;
      addContainerMetrics(registry, context.one(types.runtime), runtimeOf);
      return {};
    },
  });
}

const restart = definePlugin({
  type: types.restartMonitor,
  id: "restart",
  requires: [types.events, types.metadata, types.runtime],
  capabilities: restartPolicies,
  config: restartMonitorSchema,
  async init(context) {
    const [{ RestartMonitor }, { inProcess }, ...services] = await Promise.all([
      import("../tasks/restart_monitor.ts"),
      import("../../api/rpc/in_process.ts"),
      import("../services/containers.ts"),
      import("../services/namespaces.ts"),
      import("../services/snapshots.ts"),
      import("../services/tasks.ts"),
    ]);
    const [{ ContainersService }, { NamespacesService }, { SnapshotsService }, { TasksService }] = services;
    const parts = { stores: context.one(types.metadata), events: context.one(types.events) };
    const containers = new ContainersService(parts);
    const snapshots = new SnapshotsService(parts);
    const tasks = new TasksService({ stores: parts.stores, tasks: context.one(types.runtime) });
    return new RestartMonitor({
      namespaces: inProcess(NamespacesDefinition, new NamespacesService(parts)),
      clientsOf: (namespace) => {
        const metadata = { [namespaceKey]: namespace };
        return {
          containers: inProcess(ContainersDefinition, containers, metadata),
          snapshots: inProcess(SnapshotsDefinition, snapshots, metadata),
          tasks: inProcess(TasksDefinition, tasks, metadata),
        };
      },
      log: context.log,
      intervalMs: context.values.interval,
    });
  },
});

/** Rows of the table, in containerd's order. */
export function taskPlugins(shared: Shared): readonly AnyPlugin[] {
  return [shims(shared), tasks(shared), cgroups(shared), restart];
}
