/**
 * Starts the daemon that a command line asks for.
 *
 * @module
 */
import { loadConfig } from "../../daemon/config/load.ts";
import { showProblem } from "../../daemon/config/problem.ts";
import { Logger, parseLevel } from "../../daemon/log/logger.ts";
import { standardError } from "../../daemon/log/target.ts";
import { foreignPlugins, pluginSchemas } from "../../daemon/plugins/schemas.ts";
import { boot } from "../../daemon/server/boot.ts";
import { live } from "../../daemon/server/life.ts";
import { Reactor } from "../../ffi/reactor.ts";

/** Flags of the command line; undefined where they were not given. */
export interface ServeFlags {
  readonly config?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly root?: string | undefined;
  readonly state?: string | undefined;
  readonly address?: string | undefined;
}

/** Serves until it is told to end; gives the exit code. Throws what keeps it from serving. */
export async function serveDaemon({ config: path, logLevel, root, state, address }: ServeFlags): Promise<number> {
  const log = Logger.to({ target: standardError });
  const loaded = await loadConfig({
    path,
    overrides: { root, state, address, logLevel },
    schemas: pluginSchemas,
    foreign: foreignPlugins,
  });
  const config = loaded.config();
  if (config.debug.level !== "") log.setLevel(parseLevel(config.debug.level));
  if (config.debug.format === "json") log.setFormat("json");
  for (const problem of loaded.problems) {
    if (problem.severity === "problem") log.warn(`Ignoring ${showProblem(problem)}`);
    else log.info(showProblem(problem));
  }
  const reactor = new Reactor();
  return await live({
    log,
    reactor,
    // performance.now() counts from the start of the process's runtime.
    beganMs: 0,
    reopenLogs: () => log.reopen(),
    start: (signal) => boot({ config, log, reactor, signal }),
  });
}
