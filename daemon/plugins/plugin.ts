/**
 * What a plugin is: one row of the daemon's table. Nothing registers itself by being imported.
 *
 * @module
 */
import type { PluginSchema, Schema, ValuesOf } from "../config/schema.ts";
import type { PluginContext } from "./context.ts";
import type { PluginType } from "./types.ts";

/** A platform as introspection shows it. */
export interface PluginPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/**
 * One part of the daemon. It is constructed once, after everything of the types that it requires; a type that nobody
 * offers is fine unless `init` insists on it. An instance that can be closed has a method `Symbol.asyncDispose` or
 * `Symbol.dispose`.
 */
export interface Plugin<T = unknown, S extends Schema = Schema> {
  readonly type: PluginType<T>;
  /** Name among the plugins of the type. */
  readonly id: string;
  /** Types that come first; `*`: everything else. */
  readonly requires: readonly (PluginType<unknown> | "*")[];
  /** What can be configured; its URI is this plugin's. */
  readonly config?: PluginSchema<S>;
  /** Shown in introspection; `init` can add to it. */
  readonly capabilities?: readonly string[];
  /** As `capabilities`. */
  readonly platforms?: readonly PluginPlatform[];
  /** As `capabilities`. */
  readonly exports?: Readonly<Record<string, string>>;
  /**
   * Constructs it. What is thrown keeps this plugin, and no other, from being there; `SkipPlugin` says that nobody has
   * to worry.
   */
  init(context: PluginContext<ValuesOf<S>>): T | Promise<T>;
}

/** A row of the table, whatever it constructs. Rows are made by {@link definePlugin}, which has checked the types. */
export interface AnyPlugin extends Omit<Plugin, "init"> {
  // The settings that `init` gets are read by the row's own schema, which the compiler cannot see in a list of all rows.
  // deno-lint-ignore no-explicit-any
  init(context: PluginContext<any>): unknown;
}

/** A row of the table with everything inferred: the settings that `init` gets follow from `config`. */
export function definePlugin<T, const S extends Schema = Record<never, never>>(plugin: Plugin<T, S>): AnyPlugin {
  return plugin;
}

/** Type and id: `io.containerd.content.v1.content`. */
export function uriOf({ type, id }: Pick<AnyPlugin, "type" | "id">): string {
  return `${type.name}.${id}`;
}
