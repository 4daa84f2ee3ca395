/**
 * Starts the daemon that a command line asks for.
 *
 * @module
 */
import { VersionDefinition } from "../../api/gen/services/version/v1/version.ts";
import { HealthDefinition } from "../../api/gen/grpc/health/v1/health.ts";
import { IntrospectionDefinition } from "../../api/gen/services/introspection/v1/introspection.ts";
import { TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import { ServiceTable } from "../../api/rpc/definition.ts";
import { HealthService } from "../../daemon/services/health.ts";
import { IntrospectionService } from "../../daemon/services/introspection.ts";
import { TasksService } from "../../daemon/services/tasks.ts";
import { VersionService } from "../../daemon/services/version.ts";
import { makeDirectories } from "../../daemon/server/directories.ts";
import { serveGrpcUnix } from "../../daemon/server/grpc_unix.ts";
import { live } from "../../daemon/server/life.ts";
import type { Log } from "../../daemon/server/log.ts";
import { ownStores } from "../../daemon/store.ts";
import { Reactor } from "../../ffi/reactor.ts";

interface ServeFlags {
  readonly root: string | undefined;
  readonly state: string | undefined;
  readonly address: string | undefined;
}

function line(level: string, message: string, fields: object = {}): void {
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`).join("");
  console.error(`time="${new Date().toISOString()}" level=${level} msg=${JSON.stringify(message)}${rest}`);
}

const log: Log = {
  debug: () => {},
  info: (message, fields) => line("info", message, fields),
  warn: (message, fields) => line("warning", message, fields),
  error: (message, fields) => line("error", message, fields),
};

/** Serves until it is told to end; gives the exit code. */
export async function serveDaemon(flags: ServeFlags): Promise<number> {
  const root = flags.root ?? "/var/lib/containerd";
  const state = flags.state ?? "/run/containerd";
  const path = flags.address ?? "/run/containerd/containerd.sock";
  return await live({
    log,
    reactor: new Reactor(),
    beganMs: 0,
    reopenLogs: () => {},
    start: async (signal) => {
      makeDirectories({ root, state, temp: "" });
      const stores = await ownStores(root, { signal });
      const health = new HealthService();
      const directory = `${root}/io.containerd.grpc.v1.introspection`;
      const services = new ServiceTable()
        .add(VersionDefinition, new VersionService())
        .add(HealthDefinition, health)
        .add(TasksDefinition, new TasksService({ stores }))
        .add(
          IntrospectionDefinition,
          new IntrospectionService({ plugins: () => [], deprecations: () => [], directory }),
        );
      const place = { path, uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 };
      const server = await serveGrpcUnix(place, services, {}, (error) => log.error("accept", { error: String(error) }));
      return {
        servers: [server],
        queues: () => ({}),
        announceEnd: () => health.drain(),
        close: () => {
          stores.close();
          return Promise.resolve();
        },
      };
    },
  });
}
