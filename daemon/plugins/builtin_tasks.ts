/**
 * What runs containers, as plugins: the starting of shims, and the tasks that they hold.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { type Shared, types } from "./builtin_types.ts";
import { type AnyPlugin, definePlugin } from "./plugin.ts";
import { grpcServerSchema, runtimeSchema, shimManagerSchema, ttrpcServerSchema } from "./schemas.ts";

const shims = definePlugin({
  type: types.shims,
  id: "manager",
  requires: [types.events, types.metadata],
  config: shimManagerSchema,
  async init({ config, values, log }) {
    if (values.socketDir !== "") {
      throw new Failure("NotImplemented", "socket_dir: shims choose the directory of their sockets themselves");
    }
    const { ShimLauncher } = await import("../tasks/launcher.ts");
    const { address } = config.plugin(grpcServerSchema);
    const ttrpcAddress = config.plugin(ttrpcServerSchema).address;
    const publishBinary = Deno.env.get("BARGE_ARGV0") ?? Deno.execPath();
    const debug = log.enabled("debug");
    return new ShimLauncher({ address, ttrpcAddress, publishBinary, debug, env: values.env }, log);
  },
});

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

/** Rows of the table, in containerd's order. */
export function taskPlugins(shared: Shared): readonly AnyPlugin[] {
  return [shims, tasks(shared)];
}
