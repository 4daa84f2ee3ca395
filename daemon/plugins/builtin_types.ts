/**
 * The types of barge's own plugins, with what an instance of each is.
 *
 * @module
 */
import type { ServiceTable } from "../../api/rpc/definition.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Differ } from "../diff/differ.ts";
import type { EventExchange } from "../events/exchange.ts";
import type { MountManager } from "../mounts/mount_manager.ts";
import type { GrpcMetrics } from "../server/grpc_metrics.ts";
import type { HttpEndpoint, HttpHandler } from "../server/http_endpoint.ts";
import type { MetricRegistry } from "../server/metric_registry.ts";
import type { RunningServer } from "../server/running_server.ts";
import type { Collector } from "../services/parts.ts";
import type { SnapshotterPlace } from "../snapshots/places.ts";
import type { Stores } from "../store.ts";
import type { StreamTable } from "../streams/message_stream.ts";
import type { ShimLauncher } from "../tasks/launcher.ts";
import type { Deprecations } from "../deprecation/deprecations.ts";
import type { TaskManager } from "../tasks/manager.ts";
import type { PluginRecord } from "./init.ts";
import { pluginType, typeName } from "./types.ts";

/** What the table's rows share beside their instances: there is one of each in a process. */
export interface Shared {
  readonly reactor: Reactor;
  readonly registry: MetricRegistry;
  /** What became of all plugins, as far as they have been constructed. */
  readonly records: () => readonly PluginRecord[];
  /** Servers that listen, for those that tell of them. */
  readonly servers: () => readonly RunningServer[];
}

/** What offers a service. */
export interface ServiceEntry {
  /** Adds it to what a server answers. */
  register(table: ServiceTable): void;
  /** Tells whoever watches it that the daemon is about to end. */
  drain?(): void;
}

/** A server that has found its place and will listen when everything is there. */
export interface PendingServer {
  /** Listens. Throws what keeps it from that. */
  start(): Promise<{ readonly calls?: RunningServer; readonly pages?: HttpEndpoint; readonly address: string }>;
}

/** A snapshotter, and where it keeps its data. */
export interface SnapshotterEntry {
  readonly place: SnapshotterPlace;
  readonly root: string;
}

/** Types of plugins, by what they are for. */
export const types = {
  content: pluginType<{ readonly root: string }>(typeName("content.v1")),
  snapshotter: pluginType<SnapshotterEntry>(typeName("snapshotter.v1")),
  events: pluginType<EventExchange>(typeName("event.v1")),
  metadata: pluginType<Stores>(typeName("metadata.v1")),
  collector: pluginType<Collector>(typeName("gc.v1")),
  leases: pluginType<ServiceEntry>(typeName("lease.v1")),
  streams: pluginType<StreamTable>(typeName("streaming.v1")),
  mounts: pluginType<MountManager>(typeName("mount-manager.v1")),
  differ: pluginType<Differ>(typeName("differ.v1")),
  transfer: pluginType<ServiceEntry>(typeName("transfer.v1")),
  sandboxStore: pluginType<ServiceEntry>(typeName("sandbox.store.v1")),
  warnings: pluginType<Deprecations>(typeName("warning.v1")),
  shims: pluginType<ShimLauncher>(typeName("shim.v1")),
  runtime: pluginType<TaskManager>(typeName("runtime.v2")),
  taskMonitor: pluginType<Record<never, never>>(typeName("monitor.task.v1")),
  restartMonitor: pluginType<AsyncDisposable>(typeName("monitor.container.v1")),
  internal: pluginType<unknown>(typeName("internal.v1")),
  service: pluginType<ServiceEntry>(typeName("service.v1")),
  grpc: pluginType<ServiceEntry>(typeName("grpc.v1")),
  ttrpc: pluginType<ServiceEntry>(typeName("ttrpc.v1")),
  http: pluginType<HttpHandler>(typeName("http.v1")),
  metrics: pluginType<GrpcMetrics>(typeName("metrics.v1")),
  server: pluginType<PendingServer>(typeName("server.v1")),
} as const;
