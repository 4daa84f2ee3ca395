/**
 * Constructs the plugins, and keeps what became of each.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { Config } from "../config/config.ts";
import type { Schema } from "../config/schema.ts";
import type { Logger } from "../log/logger.ts";
import { type LoadedPlugin, PluginContext, type PluginMeta } from "./context.ts";
import { orderPlugins } from "./order.ts";
import { type AnyPlugin, type PluginPlatform, uriOf } from "./plugin.ts";
import { SkipPlugin } from "./skip.ts";
import type { PluginType } from "./types.ts";

/** What became of a plugin. */
export interface PluginRecord extends LoadedPlugin {
  readonly uri: string;
  readonly state: "ok" | "skip" | "error";
  readonly requires: readonly string[];
  readonly platforms: readonly PluginPlatform[];
  readonly capabilities: readonly string[];
  /** How long its construction took, in milliseconds. */
  readonly initMs: number;
}

/** What {@link initPlugins} needs. */
export interface InitOptions {
  readonly table: readonly AnyPlugin[];
  readonly config: Config;
  readonly log: Logger;
  /** Aborted when the daemon is to end: the rest is not constructed. */
  readonly signal: AbortSignal;
  readonly limits?: PluginLimits;
}

/** How long one plugin may take, in milliseconds. */
export interface PluginLimits {
  /** Until it is ready; a store on a slow disk may have to recover first. Default five minutes. */
  readonly initMsMax?: number;
  /** Until it is said in the log what the daemon waits for. Default ten seconds. */
  readonly slowMs?: number;
  /** Until it is closed. Default ten seconds: a service manager kills after ninety. */
  readonly closeMsMax?: number;
}

const defaultLimits: Required<PluginLimits> = { initMsMax: 300_000, slowMs: 10_000, closeMsMax: 10_000 };

/** The plugins of a running daemon. */
export class Plugins implements AsyncDisposable {
  readonly #closeMsMax: number;

  /** `closeMsMax` is of {@link PluginLimits}. */
  constructor(readonly records: readonly PluginRecord[], readonly log: Logger, closeMsMax = defaultLimits.closeMsMax) {
    this.#closeMsMax = closeMsMax;
  }

  /** What the plugin of that URI constructed; undefined where it was not. */
  instance<T>(type: PluginType<T>, id: string): T | undefined {
    const record = this.records.find((record) => record.type === type.name && record.id === id);
    // Whoever defined the plugin gave it this type, of which T is a part.
    return record?.instance as T | undefined;
  }

  /** Closes what can be closed, the last first. One that fails or hangs is logged and keeps no other from it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { uri, instance } of [...this.records].reverse()) {
      try {
        await withinMs(dispose(instance), this.#closeMsMax, () => `plugin ${uri} was not closed`);
      } catch (error) {
        this.log.error("failed to close plugin", { error, plugin: uri });
      }
    }
  }
}

/**
 * Constructs everything in order. A plugin that fails or is skipped is recorded, and the daemon goes on without it. Throws
 * where a required one is not there, with what kept it from that, after closing the others; and the signal's reason.
 */
export async function initPlugins(options: InitOptions): Promise<Plugins> {
  const { config, log, signal } = options;
  const records: PluginRecord[] = [];
  const plugins = new Plugins(records, log, options.limits?.closeMsMax);
  try {
    const ordered = orderPlugins(options.table, new Set(config.disabledPlugins));
    checkPresent(config, ordered);
    const required = new Set(config.requiredPlugins);
    for (const plugin of ordered) {
      signal.throwIfAborted();
      const record = await construct(plugin, records, options);
      records.push(record);
      if (record.error !== undefined && required.has(record.uri)) {
        throw new Failure("FailedPrecondition", `load required plugin ${record.uri}: ${messageOf(record.error)}`, {
          cause: record.error,
        });
      }
    }
    return plugins;
  } catch (error) {
    await plugins[Symbol.asyncDispose]();
    throw error;
  }
}

function checkPresent(config: Config, ordered: readonly AnyPlugin[]): void {
  const present = new Set(ordered.map(uriOf));
  const disabled = new Set(config.disabledPlugins);
  const missing = config.requiredPlugins.filter((uri) => !present.has(uri));
  if (missing.length === 0) return;
  const list = missing.map((uri) => `"${uri}"${disabled.has(uri) ? " (disabled)" : ""}`).join(", ");
  throw new Failure("FailedPrecondition", `required plugins ${list} not included: change required_plugins`);
}

async function construct(
  plugin: AnyPlugin,
  loaded: readonly LoadedPlugin[],
  { config, log, signal, limits }: InitOptions,
): Promise<PluginRecord> {
  const uri = uriOf(plugin);
  const fields = { id: uri, type: plugin.type.name };
  const meta: PluginMeta = {
    exports: { ...plugin.exports },
    capabilities: [...plugin.capabilities ?? []],
    platforms: [...plugin.platforms ?? []],
  };
  const requires = plugin.requires.map((required) => required === "*" ? required : required.name);
  const start = performance.now();
  const record = (state: PluginRecord["state"], instance: unknown, error?: unknown): PluginRecord => ({
    uri,
    type: plugin.type.name,
    id: plugin.id,
    requires,
    state,
    instance,
    ...error === undefined ? {} : { error },
    ...meta,
    initMs: performance.now() - start,
  });
  log.info("loading plugin", fields);
  try {
    const values = plugin.config === undefined ? {} : config.plugin<Schema>(plugin.config);
    const context = new PluginContext({ uri, values, config, meta, log: log.with({ plugin: uri }), signal, loaded });
    const result = plugin.init(context);
    if (!(result instanceof Promise)) return record("ok", result);
    return record("ok", await ready(result, uri, { ...defaultLimits, ...limits }, { log, signal }));
  } catch (thrown) {
    // A daemon that is to end does not ask which plugin was interrupted by that.
    signal.throwIfAborted();
    const error = thrown ?? new Error("it failed without a reason");
    if (error instanceof SkipPlugin) {
      log.info("skip loading plugin", { error, ...fields });
      return record("skip", undefined, error);
    }
    log.warn("failed to load plugin", { error, ...fields });
    return record("error", undefined, error);
  }
}

/** The instance, unless it does not come in time, or the daemon is to end before that. */
async function ready(
  result: Promise<unknown>,
  uri: string,
  { initMsMax, slowMs }: Required<PluginLimits>,
  { log, signal }: Pick<InitOptions, "log" | "signal">,
): Promise<unknown> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop);
  const slow = setTimeout(() => log.warn("plugin takes long to load", { plugin: uri }), slowMs);
  try {
    return await withinMs(Promise.race([result, ended]), initMsMax, () => `plugin ${uri} was not ready`);
  } catch (error) {
    // An instance that comes too late is nobody's: close it. Whether that works is told by nobody either.
    result.then(dispose).catch(() => {});
    throw error;
  } finally {
    clearTimeout(slow);
    signal.removeEventListener("abort", stop);
  }
}

/** The result, or `DeadlineExceeded`. */
async function withinMs<T>(result: Promise<T>, msMax: number, what: () => string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Failure("DeadlineExceeded", `${what()} after ${msMax / 1000} s`)), msMax);
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function dispose(instance: unknown): Promise<void> {
  if (typeof instance !== "object" || instance === null) return;
  const closable = instance as Partial<Disposable & AsyncDisposable>;
  if (closable[Symbol.asyncDispose] !== undefined) await closable[Symbol.asyncDispose]!();
  else closable[Symbol.dispose]?.();
}
