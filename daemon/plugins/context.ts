/**
 * What a plugin sees while it is constructed.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import type { PluginPlatform } from "./plugin.ts";
import { SkipPlugin } from "./skip.ts";
import type { PluginType } from "./types.ts";

/** A plugin that was to be there, as others meet it. */
export interface LoadedPlugin {
  readonly type: string;
  readonly id: string;
  readonly exports: Readonly<Record<string, string>>;
  /** What `init` gave; undefined where it threw. */
  readonly instance: unknown;
  /** What it threw. */
  readonly error?: unknown;
}

/** What can be told of a plugin while it is constructed, for introspection. */
export interface PluginMeta {
  readonly exports: Record<string, string>;
  readonly capabilities: string[];
  readonly platforms: PluginPlatform[];
}

/** What a context is made of. */
export interface ContextParts<V> {
  readonly uri: string;
  readonly values: V;
  readonly config: Config;
  readonly meta: PluginMeta;
  readonly log: Logger;
  /** Aborted when the daemon is to end. */
  readonly signal: AbortSignal;
  /** The plugins that came before. */
  readonly loaded: readonly LoadedPlugin[];
}

/** Handed to one plugin's `init`. */
export class PluginContext<V> {
  /** The plugin's settings. */
  readonly values: V;
  /** The daemon's. */
  readonly config: Config;
  /** Filled by `init`, shown in introspection. */
  readonly meta: PluginMeta;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** The plugin's directory below the daemon's root; not made here. */
  readonly root: string;
  /** The plugin's directory below the daemon's state; not made here. */
  readonly state: string;
  readonly #loaded: readonly LoadedPlugin[];

  constructor({ uri, values, config, meta, log, signal, loaded }: ContextParts<V>) {
    this.values = values;
    this.config = config;
    this.meta = meta;
    this.log = log;
    this.signal = signal;
    this.root = `${config.root}/${uri}`;
    this.state = `${config.state}/${uri}`;
    this.#loaded = loaded;
  }

  /**
   * The only instance of a type. Throws `NotFound` where there is none, `FailedPrecondition` where there are several, and
   * what kept it from being constructed.
   */
  one<T>(type: PluginType<T>): T {
    const instances = [...this.all(type).values()];
    const [first] = instances;
    if (instances.length > 1) {
      throw new Failure(
        "FailedPrecondition",
        `multiple plugins registered for ${type.name}: plugin: multiple instances`,
      );
    }
    if (first === undefined) throw new Failure("NotFound", `no plugins registered for ${type.name}: plugin`);
    return first;
  }

  /** As {@link one}, but undefined where there is none, or it was not constructed. */
  optional<T>(type: PluginType<T>): T | undefined {
    for (const { type: name, instance, error } of this.#loaded) {
      // Whoever defined the plugin gave it this type, of which T is a part.
      if (name === type.name && error === undefined) return instance as T;
    }
    return undefined;
  }

  /**
   * The instances of a type by id, without those that were skipped. Throws what kept one from being constructed; see
   * {@link working} for all that are there regardless.
   */
  all<T>(type: PluginType<T>): Map<string, T> {
    for (const { type: name, id, error } of this.#loaded) {
      if (name !== type.name || error === undefined || error instanceof SkipPlugin) continue;
      const cause = error instanceof Error ? error : new Error(String(error));
      const code = error instanceof Failure ? error.code : "Unknown";
      throw new Failure(code, `plugin ${name}.${id} is not loaded: ${cause.message}`, { cause });
    }
    return this.working(type);
  }

  /** The instances of a type by id, without those that were skipped or have failed. */
  working<T>(type: PluginType<T>): Map<string, T> {
    const instances = new Map<string, T>();
    for (const { type: name, id, instance, error } of this.#loaded) {
      // As in `optional`.
      if (name === type.name && error === undefined) instances.set(id, instance as T);
    }
    return instances;
  }

  /** All plugins before this one, for introspection: a plugin that requires `*` sees everything. */
  plugins(): readonly LoadedPlugin[] {
    return this.#loaded;
  }
}
