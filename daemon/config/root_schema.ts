/**
 * The keys of the configuration outside of plugins, and their defaults.
 *
 * @module
 */
import { defaultTable } from "./default_table.ts";
import { currentVersion } from "./migrate.ts";
import type { PluginSchema, Schema } from "./schema.ts";
import { timeoutDefaults } from "./timeouts.ts";
import { byDefault, type Item, stringLeaf, type Table } from "./tree.ts";

/** Where the configuration is looked for unless the command line says otherwise. */
export const defaultPath = "/etc/containerd/config.toml";

const moved = (section: string) => `use [plugins.'${section}']`;

/** The daemon's own keys, in the order in which containerd prints them. */
export const rootSchema = {
  version: { type: "int", default: currentVersion, about: "version of this file's form" },
  root: { type: "string", default: "/var/lib/containerd", about: "directory of what outlives a restart of the host" },
  state: { type: "string", default: "/run/containerd", about: "directory of what a restart of the host may lose" },
  temp: { type: "string", default: "", about: "directory of temporary files; TMPDIR of the daemon" },
  disabled_plugins: { type: "strings", default: [], about: "plugins that are not loaded, by URI" },
  required_plugins: { type: "strings", default: [], about: "plugins without which the daemon ends, by URI" },
  oom_score: { type: "int", default: 0, min: -1000, max: 1000, about: "the daemon's oom_score_adj; 0 leaves it" },
  imports: { type: "strings", default: ["/etc/containerd/conf.d/*.toml"], about: "files that change this one" },
  debug: {
    type: "table",
    about: "logging",
    fields: {
      level: {
        type: "string",
        default: "",
        choices: ["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"],
        about: "least severity that is logged",
      },
      format: { type: "string", default: "", choices: ["text", "json"], about: "form of the log" },
      log_trace_id: {
        type: "bool",
        default: false,
        about: "add the trace's id to each line",
        ineffective: "there is no tracing",
      },
      address: { type: "string", default: "", about: "", deprecated: moved("io.containerd.server.v1.debug") },
      uid: { type: "int", default: 0, about: "", deprecated: moved("io.containerd.server.v1.debug") },
      gid: { type: "int", default: 0, about: "", deprecated: moved("io.containerd.server.v1.debug") },
    },
  },
  plugins: { type: "map", of: { type: "open", about: "" }, about: "settings of plugins, by URI" },
  cgroup: {
    type: "table",
    about: "the daemon's own cgroup",
    fields: { path: { type: "string", default: "", about: "cgroup that the daemon joins" } },
  },
  proxy_plugins: {
    type: "map",
    about: "plugins in other processes, by id",
    of: {
      type: "table",
      about: "",
      fields: {
        type: { type: "string", default: "", about: "snapshot, content, sandbox, diff, or a full type" },
        address: { type: "string", default: "", about: "path of its socket" },
        platform: { type: "string", default: "", about: "platform that it serves" },
        exports: { type: "map", of: { type: "string", default: "", about: "" }, about: "what it tells of itself" },
        capabilities: { type: "strings", default: [], about: "what it can do" },
      },
    },
  },
  timeouts: { type: "map", of: { type: "duration", default: "0s", about: "" }, about: "limits of time" },
  stream_processors: {
    type: "map",
    about: "programs that decode layers, by id",
    of: {
      type: "table",
      about: "",
      fields: {
        accepts: { type: "strings", default: [], about: "media types that it reads" },
        returns: { type: "string", default: "", about: "media type that it writes" },
        path: { type: "string", default: "", about: "the program" },
        args: { type: "strings", default: [], about: "its arguments" },
        env: { type: "strings", default: [], about: "its environment" },
      },
    },
  },
  grpc: { type: "open", about: "", deprecated: moved("io.containerd.server.v1.grpc") },
  ttrpc: { type: "open", about: "", deprecated: moved("io.containerd.server.v1.ttrpc") },
  metrics: { type: "open", about: "", deprecated: moved("io.containerd.server.v1.metrics") },
  plugin_dir: { type: "open", about: "", deprecated: "plugins are part of the executable" },
} as const satisfies Schema;

/** The whole configuration while nobody has written anything. */
export function defaultConfig(schemas: readonly PluginSchema[]): Table {
  const tree = defaultTable(rootSchema);
  const sections = new Map<string, Item>();
  const byUri = [...schemas].sort((a, b) => a.uri < b.uri ? -1 : 1);
  for (const { uri, fields } of byUri) {
    const section = defaultTable(fields);
    if (section.entries.size > 0) sections.set(uri, section);
  }
  // Tables are printed in this order.
  const debug = tree.entries.get("debug")!, cgroup = tree.entries.get("cgroup")!;
  tree.entries.delete("debug");
  tree.entries.delete("cgroup");
  tree.entries.set("debug", debug);
  tree.entries.set("plugins", { kind: "table", entries: sections, at: byDefault });
  tree.entries.set("cgroup", cgroup);
  const timeouts = new Map(Object.entries(timeoutDefaults).map(([name, text]) => [name, stringLeaf(text)]));
  tree.entries.set("timeouts", { kind: "table", entries: timeouts, at: byDefault });
  tree.entries.set("stream_processors", { kind: "table", entries: decoders(), at: byDefault });
  return tree;
}

/** Layers that ocicrypt has encrypted. The program is only looked for when such a layer comes. */
function decoders(): Map<string, Item> {
  const list = (...texts: string[]): Item => ({
    kind: "list",
    items: texts.map((text) => stringLeaf(text)),
    at: byDefault,
  });
  const entries = new Map<string, Item>();
  for (const [id, layer] of [["tar", "tar"], ["tar.gzip", "tar+gzip"]] as const) {
    const type = `application/vnd.oci.image.layer.v1.${layer}`;
    const fields: [string, Item][] = [
      ["accepts", list(`${type}+encrypted`)],
      ["returns", stringLeaf(type)],
      ["path", stringLeaf("ctd-decoder")],
      ["args", list("--decryption-keys-path", "/etc/containerd/ocicrypt/keys")],
      ["env", list("OCICRYPT_KEYPROVIDER_CONFIG=/etc/containerd/ocicrypt/ocicrypt_keyprovider.conf")],
    ];
    entries.set(`io.containerd.ocicrypt.decoder.v1.${id}`, {
      kind: "table",
      entries: new Map(fields),
      at: byDefault,
    });
  }
  return entries;
}
