import { deepEqual, equal, match, rejects, throws } from "node:assert/strict";
import type { LoadedConfig } from "./load.ts";
import { loadConfig, type LoadOptions } from "./load.ts";
import { type Problem, showProblem } from "./problem.ts";
import type { PluginSchema } from "./schema.ts";
import { itemAt, showOrigin } from "./tree.ts";
import { writeDocument } from "./write.ts";

const scheduler = {
  uri: "io.containerd.gc.v1.scheduler",
  fields: {
    pause_threshold: { type: "float", default: 0.02, about: "" },
    schedule_delay: { type: "duration", default: "0s", about: "" },
  },
} as const satisfies PluginSchema;
const known = { schemas: [scheduler], foreign: new Set(["io.containerd.grpc.v1.cri"]) };

/** Loads `main.toml` of a directory with these files; `@` in a text stands for the directory. */
async function load(files: Record<string, string>, options: Partial<LoadOptions> = {}): Promise<LoadedConfig> {
  const directory = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = `${directory}/${name}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(path, text.replaceAll("@", directory));
    }
    const loaded = await loadConfig({ path: `${directory}/main.toml`, ...known, ...options });
    const bare = (text: string) => text.replaceAll(directory, "@");
    const problems = loaded.problems.map((problem): Problem => ({
      ...problem,
      at: { ...problem.at, file: bare(problem.at.file) },
    }));
    return { ...loaded, files: loaded.files.map(bare), problems };
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(directory, "@");
    throw error;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("loadConfig() of no file gives the defaults, and the imports of generated configurations", async () => {
  const missing = "/nonexistent/config.toml";
  const { tree, files, problems, config } = await loadConfig({ path: missing, missingIsFine: true, ...known });
  deepEqual([files, problems], [[], []]);
  const { root, state, imports, debug } = config();
  deepEqual([root, state, imports], ["/var/lib/containerd", "/run/containerd", ["/etc/containerd/conf.d/*.toml"]]);
  deepEqual(debug, { level: "", format: "", logTraceId: false });
  equal(config().timeout("io.containerd.timeout.task.state"), 2000);
  deepEqual(config().plugin(scheduler), { pauseThreshold: 0.02, scheduleDelay: 0 });
  equal([...config().streamProcessors.keys()].length, 2);
  match(writeDocument(tree), /^version = 4\nroot = '\/var\/lib\/containerd'\n/);
  await rejects(
    loadConfig({ path: missing, ...known }),
    /failed to load TOML: \/nonexistent\/config\.toml: open .*: no such file/,
  );
});

Deno.test("loadConfig() reads imports breadth-first, relative to the file that names them, each once", async () => {
  const { files, config } = await load({
    "main.toml": "version = 4\nroot = '/main'\nimports = ['a.toml', 'drop/*.toml', '@/last.toml', 'none/*.toml']",
    "a.toml": "version = 4\nimports = ['sub/deep.toml', 'main.toml']\nroot = '/a'",
    "sub/deep.toml": "version = 4\nimports = ['../a.toml', './deep.toml']\nroot = '/deep'",
    "drop/2.toml": "root = '/2'",
    "drop/10.toml": "version = 4\nroot = '/10'",
    "drop/x.conf": "this is not read",
    "last.toml": "version = 4\nstate = '/last'",
  });
  const order = ["main", "a", "drop/10", "drop/2", "last", "sub/deep"];
  deepEqual(files, order.map((name) => `@/${name}.toml`));
  deepEqual([config().root, config().state], ["/deep", "/last"]);
  equal(config().imports.length, 6);
});

Deno.test("loadConfig() without imports in the file follows none", async () => {
  const { files, config } = await load({ "main.toml": "version = 4" });
  deepEqual([files, config().imports.length], [["@/main.toml"], 1]);
});

Deno.test("loadConfig() migrates each file by its own version", async () => {
  const { config } = await load({
    "main.toml": "version = 3\nimports = ['1.toml', '2.toml']\n[grpc]\naddress = '/three'",
    "1.toml": "[plugins.scheduler]\npause_threshold = 0.1",
    "2.toml": "version = 2\n[plugins.'io.containerd.gc.v1.scheduler']\nschedule_delay = '1s'",
  });
  deepEqual(config().plugin(scheduler), { pauseThreshold: 0.1, scheduleDelay: 1000 });
});

Deno.test("loadConfig() refuses a drop-in of a higher version than the file's", async () => {
  const above = /^Failure: @\/a\.toml:1:1: drop-in config version 3 higher than root config version 2$/;
  await rejects(load({ "main.toml": "version = 2\nimports = ['a.toml']", "a.toml": "version = 3" }), above);
  const files = { "a.toml": "version = 2", "b.toml": "version = 3" };
  await rejects(load({ "main.toml": "imports = ['a.toml', 'b.toml']", ...files }), /drop-in config version 3 higher/);
  equal((await load({ "main.toml": "imports = ['b.toml', 'a.toml']", ...files })).files.length, 3);
});

Deno.test("loadConfig() says which file it cannot read", async () => {
  await rejects(
    load({ "main.toml": "imports = ['a.toml']" }),
    /failed to load TOML: @\/a\.toml: open @\/a\.toml: no such file/,
  );
  await rejects(load({ "main.toml": "imports = ['a.toml']", "a.toml": "x = " }), /^Failure: @\/a\.toml:1:\d+: /);
  await rejects(load({ "main.toml/x": "" }), /@\/main\.toml: .*directory/);
  await rejects(loadConfig({ path: "/dev/zero", ...known }), /\/dev\/zero: the file is larger than \d+ bytes/);
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, new Uint8Array([0x61, 0x3d, 0x22, 0xff, 0x22]));
    await rejects(loadConfig({ path, ...known }), /the file is no UTF-8 text/);
    await rejects(loadConfig({ path, ...known, signal: AbortSignal.abort() }), { name: "AbortError" });
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("loadConfig() ends where imports name new files for ever", async () => {
  const directory = await Deno.makeTempDir();
  try {
    // Each link leads back to the directory, so that every path is a new one.
    await Deno.symlink(".", `${directory}/a`);
    await Deno.writeTextFile(`${directory}/main.toml`, "version = 4\nimports = ['a/main.toml', 'a/./a/main.toml']");
    const error = /the imports name more than 1000 files|[Tt]oo many levels|ELOOP/;
    await rejects(loadConfig({ path: `${directory}/main.toml`, ...known }), error);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("loadConfig() reports what is wrong in each of the files, and config() throws the errors", async () => {
  const { problems, config } = await load({
    "main.toml":
      "version = 4\nimports = ['a.toml']\nrooot = '/x'\n[plugins.'io.containerd.gc.v1.scheduler']\npause_threshold = 'x'",
    "a.toml":
      "version = 4\ndisabled_plugins = ['cri', 'io.containerd.gc.v1.schedule', 'io.containerd.grpc.v1.cri', 'io.containerd.snapshotter.v1.px']\n" +
      "required_plugins = ['x.y', 'io.containerd.grpc.v1.cri']\n[plugins.'io.containerd.gc.v1.scheduler']\npause_threshold = 0.1\n[proxy_plugins.px]\ntype = 'snapshot'\n[proxy_plugins.py]\ntype = 'x'",
  });
  deepEqual(problems.map((problem) => `${problem.severity} ${showProblem(problem)}`), [
    "problem @/main.toml:3:1: unknown key rooot: did you mean root?",
    "error @/main.toml:5:1: plugins.'io.containerd.gc.v1.scheduler'.pause_threshold is the string \"x\": want a number, such as 0.02",
    'error @/a.toml:2:21: disabled_plugins: "cri" is no name of a plugin: want its type and id, such as "io.containerd.snapshotter.v1.native"',
    "problem @/a.toml:2:28: disabled_plugins: there is no plugin 'io.containerd.gc.v1.schedule': did you mean 'io.containerd.gc.v1.scheduler'?",
    "error @/a.toml:3:21: required_plugins: there is no plugin 'x.y'",
    "error @/a.toml:3:28: required_plugins: this daemon has no plugin 'io.containerd.grpc.v1.cri'",
    `problem @/a.toml:9:1: proxy_plugins.py has the type "x" and is ignored: want snapshot, content, sandbox or diff`,
  ]);
  throws(config, /:5:1: .*pause_threshold is the string "x".* \(and 3 more: containerd config check shows all\)$/);
});

Deno.test("loadConfig() refuses directories that cannot work", async () => {
  throws(
    (await load({ "main.toml": "version = 4\nroot = 'var'" })).config,
    /main\.toml:2:1: root is "var": want an absolute path/,
  );
  throws(
    (await load({ "main.toml": "version = 4\nroot = '/x/'\nstate = '/y/../x'" })).config,
    /:3:1: root and state must be different paths/,
  );
});

Deno.test("loadConfig() lets the command line have the last word", async () => {
  const overrides = { root: "/flag", state: "rel", address: "/flag.sock", logLevel: "debug" };
  const { tree, config } = await load({
    "main.toml":
      "version = 2\nroot = '/file'\n[debug]\nlevel = 'info'\n[plugins.'io.containerd.server.v1.grpc']\nuid = 5",
  }, { overrides });
  deepEqual([config().root, config().state, config().debug.level], ["/flag", `${Deno.cwd()}/rel`, "debug"]);
  const text = (name: string, key: string) => {
    const item = itemAt(tree, "plugins", `io.containerd.server.v1.${name}`, key);
    return item && "value" in item ? `${item.value} ${showOrigin(item.at).replace(/.*\//, "")}` : undefined;
  };
  deepEqual([text("grpc", "address"), text("ttrpc", "address")], [
    "/flag.sock command line",
    "/flag.sock.ttrpc command line",
  ]);
  equal(text("ttrpc", "uid"), "5 main.toml:6:1");
  const own = await load({ "main.toml": "version = 4\n[plugins.'io.containerd.server.v1.ttrpc']\naddress = '/t'" }, {
    overrides,
  });
  const ttrpc = itemAt(own.tree, "plugins", "io.containerd.server.v1.ttrpc", "address");
  equal(ttrpc && "value" in ttrpc && ttrpc.value, "/t");
});

Deno.test("loadConfig() tells no more problems than somebody reads, but each error", async () => {
  const unknown = Array.from({ length: 2000 }, (_, index) => `${"key".repeat(5)}${index} = 1`).join("\n");
  const { problems, config } = await load({ "main.toml": `version = 4\n${unknown}\n[debug]\nlevel = 5` });
  equal(problems.length, 1000);
  throws(config, /main\.toml:2003:1: debug\.level/);
});
