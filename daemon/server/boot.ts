/**
 * From a configuration to a daemon that serves.
 *
 * @module
 */
import { containerdVersion, revision } from "../../api/version.ts";
import { Failure, messageOf } from "../../api/errors.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import { builtinPlugins } from "../plugins/builtin.ts";
import { types } from "../plugins/builtin_types.ts";
import { initPlugins, type Plugins } from "../plugins/init.ts";
import { makeDirectories } from "./directories.ts";
import type { HttpEndpoint } from "./http_endpoint.ts";
import type { Daemon } from "./life.ts";
import { MetricRegistry } from "./metric_registry.ts";
import { joinCgroup, raiseOpenFiles, setOomScore } from "./process_settings.ts";
import type { RunningServer } from "./running_server.ts";

/** What {@link boot} needs. */
export interface BootOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly reactor: Reactor;
  /** Aborted where the daemon is to end before it serves. */
  readonly signal: AbortSignal;
}

/**
 * Starts everything that the configuration asks for. Throws where a directory, the cgroup, the store, a required plugin or
 * a server cannot be had; what was started by then has ended again.
 */
export async function boot({ config, log, reactor, signal }: BootOptions): Promise<Daemon> {
  makeDirectories(config);
  log.info("starting containerd", { revision, version: containerdVersion });
  raiseOpenFiles();
  const problem = setOomScore(config.oomScore);
  if (problem !== undefined) log.warn(problem);
  joinCgroup(config.cgroupPath);
  const servers: RunningServer[] = [];
  const pages: HttpEndpoint[] = [];
  let records: Plugins["records"] = [];
  const shared = { reactor, registry: new MetricRegistry(), records: () => records, servers: () => servers };
  const plugins = await initPlugins({ table: builtinPlugins(shared, config), config, log, signal });
  records = plugins.records;
  const daemon = daemonOf(plugins, servers, pages);
  try {
    checkStore(records);
    await startServers(plugins, servers, pages, log, signal);
    return daemon;
  } catch (error) {
    for (const server of servers) server.close();
    await daemon.close();
    throw error;
  }
}

/** A daemon without its store would refuse every call, and take the socket from one that has it. */
function checkStore(records: Plugins["records"]): void {
  const failed = records.find(({ type, state }) => type === types.metadata.name && state === "error");
  if (failed === undefined) return;
  throw new Failure("FailedPrecondition", messageOf(failed.error), { cause: failed.error });
}

async function startServers(
  plugins: Plugins,
  servers: RunningServer[],
  pages: HttpEndpoint[],
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (const { type, id, uri, state, error } of plugins.records) {
    if (type !== types.server.name || state === "skip") continue;
    // A server that was asked for and is not there would be found out much later, by its clients.
    if (state === "error") {
      throw new Failure("FailedPrecondition", `plugin ${uri}: ${messageOf(error)}`, { cause: error });
    }
    signal.throwIfAborted();
    const started = await plugins.instance(types.server, id)?.start();
    if (started?.calls !== undefined) servers.push(started.calls);
    if (started?.pages !== undefined) pages.push(started.pages);
    log.info("serving...", { address: started?.address, plugin: uri });
  }
}

function daemonOf(plugins: Plugins, servers: readonly RunningServer[], pages: readonly HttpEndpoint[]): Daemon {
  const health = plugins.instance(types.grpc, "healthcheck");
  return {
    servers,
    queues: () => ({
      "event subscribers": plugins.instance(types.events, "exchange")?.subscribers ?? 0,
      "plugins": plugins.records.length,
    }),
    announceEnd: () => {
      health?.drain?.();
    },
    close: async () => {
      await Promise.all(pages.map((page) => page.close()));
      await plugins[Symbol.asyncDispose]();
    },
  };
}
