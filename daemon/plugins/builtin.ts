/**
 * The daemon's plugins.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Config } from "../config/config.ts";
import { serverPlugins } from "./builtin_servers.ts";
import { servicePlugins } from "./builtin_services.ts";
import { storePlugins } from "./builtin_stores.ts";
import { taskPlugins } from "./builtin_tasks.ts";
import { type Shared, types } from "./builtin_types.ts";
import { type AnyPlugin, definePlugin } from "./plugin.ts";
import { pluginType } from "./types.ts";

/** The table: what is here is constructed when the daemon starts, unless the configuration disables it. */
export function builtinPlugins(shared: Shared, config: Config): readonly AnyPlugin[] {
  return [
    ...storePlugins(shared),
    ...proxies(config),
    ...taskPlugins(shared),
    ...servicePlugins(shared),
    ...serverPlugins(shared),
  ];
}

const proxyTypes: Readonly<Record<string, string>> = {
  snapshot: types.snapshotter.name,
  content: types.content.name,
  sandbox: "io.containerd.sandbox.controller.v1",
  diff: types.differ.name,
};

/** Plugins in other processes. None can be used yet; whoever configured one sees why it is not there. */
function proxies({ proxyPlugins }: Config): AnyPlugin[] {
  return [...proxyPlugins].map(([id, { type, address }]) =>
    definePlugin({
      type: pluginType<never>(proxyTypes[type] ?? type),
      id,
      requires: [],
      exports: { address },
      init(): never {
        throw new Failure(
          "NotImplemented",
          `proxy plugin "${id}" at "${address}": proxy plugins are not supported yet`,
        );
      },
    })
  );
}
