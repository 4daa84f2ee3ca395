/**
 * The daemon's configuration as typed values.
 *
 * @module
 */
import { readTable } from "./read_table.ts";
import { rootSchema } from "./root_schema.ts";
import type { PluginSchema, Schema, ValuesOf } from "./schema.ts";
import type { TimeoutName } from "./timeouts.ts";
import { type Table, tableAt } from "./tree.ts";

type RootValues = ValuesOf<typeof rootSchema>;

/** A plugin in another process. */
export type ProxyPlugin = RootValues["proxyPlugins"] extends ReadonlyMap<string, infer V> ? V : never;

/** A program that decodes layers. */
export type StreamProcessor = RootValues["streamProcessors"] extends ReadonlyMap<string, infer V> ? V : never;

/** All settings; what nobody has set has its default. */
export interface Config {
  readonly version: number;
  /** Directory of what outlives a restart of the host; absolute. */
  readonly root: string;
  /** Directory of what does not; absolute. */
  readonly state: string;
  /** Directory of temporary files; empty: the system's. */
  readonly temp: string;
  /** For oom_score_adj; 0 leaves it. */
  readonly oomScore: number;
  /** URIs. */
  readonly disabledPlugins: readonly string[];
  /** URIs. */
  readonly requiredPlugins: readonly string[];
  /** The files that were read, in that order; the pattern of generated configurations where none was. */
  readonly imports: readonly string[];
  readonly debug: { readonly level: string; readonly format: string; readonly logTraceId: boolean };
  /** Cgroup that the daemon joins; empty: it stays. */
  readonly cgroupPath: string;
  readonly proxyPlugins: ReadonlyMap<string, ProxyPlugin>;
  /** Milliseconds by name. */
  readonly timeouts: ReadonlyMap<string, number>;
  readonly streamProcessors: ReadonlyMap<string, StreamProcessor>;
  /** Sections of plugins by URI, as they are written. */
  readonly plugins: ReadonlyMap<string, Table>;
  /** Milliseconds of one of the known limits; 0 waits for ever. */
  timeout(name: TimeoutName): number;
  /** The settings of one plugin. */
  plugin<S extends Schema>(schema: PluginSchema<S>): ValuesOf<S>;
}

/** The typed values of a tree that holds all defaults and has been checked; what is wrong in it has its default. */
export function typedConfig(tree: Table): Config {
  // Whoever loaded the files has reported what is wrong with each of them.
  const told = () => {};
  const values = readTable(rootSchema, tree, [], told);
  const plugins = new Map<string, Table>();
  for (const [uri, section] of tableAt(tree, "plugins")?.entries ?? []) {
    if (section.kind === "table") plugins.set(uri, section);
  }
  const { level, format, logTraceId } = values.debug;
  return {
    version: values.version,
    root: values.root,
    state: values.state,
    temp: values.temp,
    oomScore: values.oomScore,
    disabledPlugins: values.disabledPlugins,
    requiredPlugins: values.requiredPlugins,
    imports: values.imports,
    debug: { level, format, logTraceId },
    cgroupPath: values.cgroup.path,
    proxyPlugins: values.proxyPlugins,
    timeouts: values.timeouts,
    streamProcessors: values.streamProcessors,
    plugins,
    // The defaults hold each of the known names.
    timeout: (name) => values.timeouts.get(name)!,
    plugin: ({ uri, fields }) => readTable(fields, plugins.get(uri), ["plugins", uri], told),
  };
}
