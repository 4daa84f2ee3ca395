/**
 * The servers as plugins. Constructing one finds out what it serves; it listens when everything is constructed.
 *
 * @module
 */
import { ServiceTable } from "../../api/rpc/definition.ts";
import { GrpcMetrics } from "../server/grpc_metrics.ts";
import { serveGrpcUnix } from "../server/grpc_unix.ts";
import type { Logger } from "../log/logger.ts";
import { type PendingServer, type ServiceEntry, type Shared, types } from "./builtin_types.ts";
import type { PluginContext } from "./context.ts";
import { type AnyPlugin, definePlugin } from "./plugin.ts";
import {
  debugServerSchema,
  grpcMetricsSchema,
  grpcServerSchema,
  metricsServerSchema,
  tcpServerSchema,
  ttrpcServerSchema,
} from "./schemas.ts";
import { SkipPlugin } from "./skip.ts";
import type { PluginType } from "./types.ts";

function tableOf(context: PluginContext<unknown>, type: PluginType<ServiceEntry>): ServiceTable {
  const table = new ServiceTable();
  for (const entry of context.working(type).values()) entry.register(table);
  return table;
}

const reportTo = (log: Logger) => (error: unknown) => log.error("cannot take a connection", { error });

function metrics({ registry }: Shared): AnyPlugin {
  return definePlugin({
    type: types.metrics,
    id: "grpc-prometheus",
    requires: [types.grpc],
    config: grpcMetricsSchema,
    init(context) {
      // Counting costs a little at each call, and nobody would read it.
      if (context.config.plugin(metricsServerSchema).address === "") {
        throw new SkipPlugin("no address for metrics is configured");
      }
      return new GrpcMetrics(registry, tableOf(context, types.grpc), context.values.grpcHistogram);
    },
  });
}

function optionsOf(
  context: PluginContext<{ readonly maxRecvMessageSize: number; readonly maxSendMessageSize: number }>,
) {
  const { maxRecvMessageSize, maxSendMessageSize } = context.values;
  const observe = context.optional(types.metrics)?.observe;
  return {
    // Zero is containerd's default too.
    ...(maxRecvMessageSize === 0 ? {} : { messageBytesMax: maxRecvMessageSize }),
    ...(maxSendMessageSize === 0 ? {} : { sendBytesMax: maxSendMessageSize }),
    ...(observe === undefined ? {} : { observe }),
  };
}

const grpc = definePlugin({
  type: types.server,
  id: "grpc",
  requires: [types.grpc, types.metrics],
  config: grpcServerSchema,
  init(context): PendingServer {
    const { address: path, uid, gid } = context.values;
    if (path === "") throw new Error("grpc address cannot be empty");
    const table = tableOf(context, types.grpc);
    const options = optionsOf(context);
    return {
      start: async () => {
        const calls = await serveGrpcUnix({ path, uid, gid }, table, options, reportTo(context.log));
        return { calls, address: calls.address };
      },
    };
  },
});

const grpcTcp = definePlugin({
  type: types.server,
  id: "grpc-tcp",
  requires: [types.grpc, types.metrics],
  config: tcpServerSchema,
  init(context): PendingServer {
    const { address, tlsCa, tlsCert, tlsKey, tlsCommonName } = context.values;
    if (address === "") throw new SkipPlugin("no address is configured");
    const table = tableOf(context, types.grpc);
    const options = optionsOf(context);
    const files = { certificate: tlsCert, key: tlsKey, authority: tlsCa, commonName: tlsCommonName };
    return {
      start: async () => {
        const { serveGrpcTcp } = await import("../server/grpc_tcp.ts");
        const calls = serveGrpcTcp(address, files, table, options, reportTo(context.log));
        return { calls, address: calls.address };
      },
    };
  },
});

function ttrpc({ reactor }: Shared): AnyPlugin {
  return definePlugin({
    type: types.server,
    id: "ttrpc",
    requires: [types.ttrpc],
    config: ttrpcServerSchema,
    init(context): PendingServer {
      const { address: path, uid, gid } = context.values;
      if (path === "") throw new SkipPlugin("no address is configured");
      const table = tableOf(context, types.ttrpc);
      return {
        start: async () => {
          const { serveTtrpcUnix } = await import("../server/ttrpc_unix.ts");
          const calls = await serveTtrpcUnix({ path, uid, gid }, table, reactor);
          return { calls, address: calls.address };
        },
      };
    },
  });
}

function pprof({ servers }: Shared): AnyPlugin {
  return definePlugin({
    type: types.http,
    id: "pprof",
    requires: [],
    async init({ config }) {
      if (config.plugin(debugServerSchema).address === "") {
        throw new SkipPlugin("no address for debugging is configured");
      }
      const { debugPages } = await import("../server/debug_pages.ts");
      return debugPages(() => servers().flatMap((server) => server.calls()));
    },
  });
}

const debug = definePlugin({
  type: types.server,
  id: "debug",
  requires: [types.http],
  config: debugServerSchema,
  init(context): PendingServer {
    const { address, uid, gid } = context.values;
    if (address === "") throw new SkipPlugin("no address is configured");
    const handler = context.one(types.http);
    return {
      start: async () => {
        const { serveHttp } = await import("../server/http_endpoint.ts");
        const pages = await serveHttp({ address, uid, gid }, handler);
        return { pages, address: pages.address };
      },
    };
  },
});

function metricsServer({ registry }: Shared): AnyPlugin {
  return definePlugin({
    type: types.server,
    id: "metrics",
    requires: [],
    config: metricsServerSchema,
    init(context): PendingServer {
      const { address } = context.values;
      if (address === "") throw new SkipPlugin("no address is configured");
      return {
        start: async () => {
          const { serveHttp } = await import("../server/http_endpoint.ts");
          const { metricsPage } = await import("../server/metrics_page.ts");
          const { addProcessMetrics } = await import("../server/process_metrics.ts");
          const { addBuildInfo } = await import("../server/build_info.ts");
          addProcessMetrics(registry);
          addBuildInfo(registry);
          const pages = await serveHttp({ address, uid: 0, gid: 0 }, metricsPage(registry));
          return { pages, address: pages.address };
        },
      };
    },
  });
}

/** Rows of the table, in the order in which they begin to listen: clients come when all else is there. */
export function serverPlugins(shared: Shared): readonly AnyPlugin[] {
  return [pprof(shared), metrics(shared), debug, metricsServer(shared), ttrpc(shared), grpcTcp, grpc];
}
