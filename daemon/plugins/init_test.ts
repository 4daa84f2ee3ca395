import { deepEqual, equal, match, rejects, throws } from "node:assert/strict";
import { Failure } from "../../api/errors.ts";
import { loadConfig } from "../config/load.ts";
import { Logger } from "../log/logger.ts";
import { initPlugins, type PluginLimits, type Plugins } from "./init.ts";
import { type AnyPlugin, definePlugin } from "./plugin.ts";
import { pluginSchemas, schedulerSchema } from "./schemas.ts";
import { SkipPlugin } from "./skip.ts";
import { pluginType } from "./types.ts";

const content = pluginType<{ readonly store: string }>("io.containerd.content.v1");
const snapshotter = pluginType<string>("io.containerd.snapshotter.v1");
const gc = pluginType<number>("io.containerd.gc.v1");
const service = pluginType<unknown>("io.containerd.service.v1");

const named = ["x.y", "io.containerd.service.v1.1"].map((uri) => ({ uri, fields: {} }));
const schemas = [...pluginSchemas, ...named];
const lines: string[] = [];
const log = Logger.to({ target: { write: (line) => lines.push(line), reopen: () => {} } });

async function start(
  table: AnyPlugin[],
  settings = "",
  signal = new AbortController().signal,
  limits: PluginLimits = {},
): Promise<Plugins> {
  const path = await Deno.makeTempFile({ suffix: ".toml" });
  try {
    await Deno.writeTextFile(path, `version = 4\nroot = '/r'\nstate = '/s'\n${settings}`);
    const { config } = await loadConfig({ path, schemas, foreign: new Set() });
    lines.length = 0;
    return await initPlugins({ table, config: config(), log, signal, limits });
  } finally {
    await Deno.remove(path);
  }
}

const overlay = definePlugin({ type: snapshotter, id: "overlayfs", requires: [], init: () => "overlay" });
const btrfs = definePlugin({
  type: snapshotter,
  id: "btrfs",
  requires: [],
  init: () => {
    throw new SkipPlugin("/r (ext4) must be a btrfs filesystem to be used with the btrfs snapshotter");
  },
});
const zfs = definePlugin({
  type: snapshotter,
  id: "zfs",
  requires: [],
  init: () => {
    throw new Failure("NotFound", "zfs: no such program");
  },
});

Deno.test("initPlugins() constructs in order, with settings, directories and what came before", async () => {
  await using plugins = await start([
    definePlugin({
      type: gc,
      id: "scheduler",
      requires: [content, snapshotter],
      config: schedulerSchema,
      exports: { a: "1" },
      capabilities: ["x"],
      init: (context) => {
        equal(context.one(content).store, "/r/io.containerd.content.v1.content");
        equal(context.one(snapshotter), "overlay");
        equal(context.optional(service), undefined);
        deepEqual([context.root, context.state], [
          "/r/io.containerd.gc.v1.scheduler",
          "/s/io.containerd.gc.v1.scheduler",
        ]);
        context.meta.exports.b = "2";
        context.meta.platforms.push({ os: "linux", architecture: "amd64" });
        return context.values.mutationThreshold + context.values.scheduleDelay;
      },
    }),
    definePlugin({ type: content, id: "content", requires: [], init: ({ root }) => Promise.resolve({ store: root }) }),
    overlay,
    btrfs,
  ], "[plugins.'io.containerd.gc.v1.scheduler']\nschedule_delay = '1s'");
  deepEqual(plugins.records.map(({ id, state }) => [id, state]), [
    ["content", "ok"],
    ["overlayfs", "ok"],
    ["btrfs", "skip"],
    ["scheduler", "ok"],
  ]);
  equal(plugins.instance(gc, "scheduler"), 1100);
  const { exports, capabilities, platforms, requires } = plugins.records[3]!;
  deepEqual({ exports, capabilities, platforms, requires }, {
    exports: { a: "1", b: "2" },
    capabilities: ["x"],
    platforms: [{ os: "linux", architecture: "amd64" }],
    requires: ["io.containerd.content.v1", "io.containerd.snapshotter.v1"],
  });
});

Deno.test("initPlugins() goes on without plugins that fail or are skipped, and tells clients in containerd's words", async () => {
  const plugins = await start([zfs, btrfs, overlay]);
  deepEqual(plugins.records.map(({ state }) => state), ["error", "skip", "ok"]);
  match((plugins.records[1]!.error as Error).message, /^\/r \(ext4\) must be a btrfs filesystem.*: skip plugin$/);
  match(
    lines[1]!,
    /level=warning msg="failed to load plugin" error="zfs: no such program" id=io.containerd.snapshotter.v1.zfs/,
  );
  match(
    lines[3]!,
    /level=info msg="skip loading plugin" error="\/r \(ext4\).*" id=io\.containerd\.snapshotter\.v1\.btrfs type=/,
  );
});

Deno.test("initPlugins() ends where a required plugin fails, is skipped, disabled or unknown, and closes the others", async () => {
  let closed = "";
  const closing = (id: string) =>
    definePlugin({
      type: service,
      id,
      requires: [],
      init: () => ({ [Symbol.asyncDispose]: () => Promise.resolve(void (closed += id)) }),
    });
  const required = (uri: string) => `required_plugins = ['${uri}']`;
  const table = [closing("1"), closing("2"), zfs, btrfs];
  await rejects(start(table, required("io.containerd.snapshotter.v1.zfs")), {
    name: "Failure",
    message: "load required plugin io.containerd.snapshotter.v1.zfs: zfs: no such program",
  });
  equal(closed, "21");
  await rejects(start(table, required("io.containerd.snapshotter.v1.btrfs")), /load required plugin .*: skip plugin$/);
  await rejects(start(table, required("x.y")), /^Failure: required plugins "x\.y" not included/);
  const disabled = `disabled_plugins = ['io.containerd.service.v1.1']\n${required("io.containerd.service.v1.1")}`;
  await rejects(start(table, disabled), /required plugins "io\.containerd\.service\.v1\.1" \(disabled\) not included/);
});

Deno.test("PluginContext finds what is there, and says what is not", async () => {
  const plugins = await start([
    overlay,
    zfs,
    btrfs,
    definePlugin({ type: snapshotter, id: "native", requires: [], init: () => "native" }),
    definePlugin({
      type: service,
      id: "looking",
      requires: ["*"],
      init: (context) => {
        throws(() => context.one(content), /^Failure: no plugins registered for io\.containerd\.content\.v1: plugin$/);
        throws(
          () => context.one(snapshotter),
          /plugin io\.containerd\.snapshotter\.v1\.zfs is not loaded: zfs: no such program/,
        );
        deepEqual([...context.working(snapshotter)], [["overlayfs", "overlay"], ["native", "native"]]);
        equal(context.plugins().length, 4);
      },
    }),
  ]);
  equal(plugins.records.at(-1)!.error, undefined);
  const several = await start([
    overlay,
    definePlugin({ type: snapshotter, id: "x", requires: [], init: () => "" }),
    definePlugin({ type: service, id: "looking", requires: ["*"], init: (context) => context.one(snapshotter) }),
  ]);
  match((several.records.at(-1)!.error as Error).message, /multiple plugins registered/);
});

Deno.test("initPlugins() stops when the daemon is to end, and closes what comes too late", async () => {
  const end = new AbortController();
  const late = Promise.withResolvers<AsyncDisposable>();
  let closed = false;
  const waiting = definePlugin({
    type: service,
    id: "waiting",
    requires: [],
    init: () => {
      queueMicrotask(() => end.abort(new Error("the end")));
      return late.promise;
    },
  });
  await rejects(start([waiting, overlay], "", end.signal), /^Error: the end$/);
  late.resolve({ [Symbol.asyncDispose]: () => Promise.resolve(void (closed = true)) });
  await new Promise((resolve) => setTimeout(resolve));
  equal(closed, true);
});

Deno.test("Plugins closes the rest where one cannot be closed", async () => {
  let closed = false;
  const plugins = await start([
    definePlugin({
      type: service,
      id: "good",
      requires: [],
      init: () => ({ [Symbol.dispose]: () => void (closed = true) }),
    }),
    definePlugin({
      type: service,
      id: "bad",
      requires: [],
      init: () => ({ [Symbol.asyncDispose]: () => Promise.reject(new Error("stuck")) }),
    }),
  ]);
  await plugins[Symbol.asyncDispose]();
  equal(closed, true);
  match(lines.at(-1)!, /level=error msg="failed to close plugin" error=stuck plugin=io\.containerd\.service\.v1\.bad/);
});

Deno.test("initPlugins() goes on without a plugin that is never ready, and ends where one is never closed", async () => {
  const never = new Promise<never>(() => {});
  const plugins = await start(
    [
      definePlugin({ type: service, id: "waits", requires: [], init: () => never }),
      definePlugin({ type: service, id: "stays", requires: [], init: () => ({ [Symbol.asyncDispose]: () => never }) }),
    ],
    "",
    undefined,
    { initMsMax: 30, slowMs: 10, closeMsMax: 20 },
  );
  deepEqual(plugins.records.map(({ state }) => state), ["error", "ok"]);
  match(
    (plugins.records[0]!.error as Error).message,
    /^plugin io\.containerd\.service\.v1\.waits was not ready after 0\.03 s$/,
  );
  match(lines[1]!, /level=warning msg="plugin takes long to load" plugin=io\.containerd\.service\.v1\.waits/);
  await plugins[Symbol.asyncDispose]();
  match(lines.at(-1)!, /failed to close plugin" error="plugin .*stays was not closed after 0\.02 s"/);
});
