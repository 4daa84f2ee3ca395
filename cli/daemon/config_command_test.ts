import { deepEqual, equal, match } from "node:assert/strict";
import { configCommand } from "./config_command.ts";
import { loadConfig } from "../../daemon/config/load.ts";
import { showProblem } from "../../daemon/config/problem.ts";
import { foreignPlugins, pluginSchemas } from "../../daemon/plugins/schemas.ts";

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command on files in a directory of their own, whose name is `@` in texts. */
async function run(args: string[], files: Record<string, string> = {}): Promise<Result> {
  const directory = await Deno.makeTempDir();
  const texts = { out: "", err: "" };
  const collect = (key: keyof typeof texts) => (text: string) => void (texts[key] += text.replaceAll(directory, "@"));
  try {
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${directory}/${name}`, text.replaceAll("@", directory));
    }
    const given = args.map((arg) => arg.replaceAll("@", directory));
    const code = await configCommand(given, {
      out: collect("out"),
      err: collect("err"),
      config: `${directory}/config.toml`,
    });
    return { code, ...texts };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("config default prints what the daemon reads without a word, and what dump prints as well", async () => {
  const { code, out, err } = await run(["default"]);
  deepEqual([code, err], [0, ""]);
  match(out, /^version = 4\nroot = '\/var\/lib\/containerd'\nstate = '\/run\/containerd'\n/);
  match(out, /\n {2}\[plugins\.'io\.containerd\.gc\.v1\.scheduler'\]\n {4}pause_threshold = 0\.02\n/);
  const text = out.replace("'/etc/containerd/conf.d/*.toml'", "");
  deepEqual(await run(["check"], { "config.toml": text }), { code: 0, out: "@/config.toml: ok\n", err: "" });
  const dumped = await run(["dump"], { "config.toml": text });
  equal(dumped.out, text.replace("imports = []", "imports = ['@/config.toml']"));
  equal(dumped.err, "");
});

Deno.test("config default --explain says what each value is for, and reads as the same", async () => {
  const { out } = await run(["default", "--explain"]);
  match(out, /\nstate = '\/run\/containerd' # directory of what a restart of the host may lose\n/);
  match(out, /\n {4}schedule_delay = '0s' # time from the cause to the collection\n/);
  match(out, /\n {2}level = '' # least severity that is logged\n/);
  match(out, /\n {4}returns = '.*' # media type that it writes\n/);
  const plain = out.replace(/ # .*$/gm, "");
  equal(plain, (await run(["default"])).out);
});

Deno.test("config dump and migrate of a missing file print the defaults; check names it", async () => {
  const expected = await run(["default"]);
  deepEqual(await run(["dump"]), expected);
  deepEqual(await run(["migrate", "-c", "@/none.toml"]), expected);
  deepEqual(await run(["check"]), {
    code: 1,
    out: "",
    err: "containerd: failed to load TOML: @/config.toml: open @/config.toml: no such file or directory\n",
  });
});

const old = {
  "config.toml":
    "root = '/old'\nimports = ['more.toml']\n[plugins.scheduler]\n  pause_threshold = 0.1\n  pause_treshold = 1\n",
  "more.toml": "[debug]\nlevel = 'debug'\n",
};

Deno.test("config migrate prints the file's current version, and warns of what it does not know", async () => {
  const { code, out, err } = await run(["migrate"], old);
  equal(code, 0);
  match(out, /^version = 4\nroot = '\/old'\n/);
  match(out, /\n {2}\[plugins\.'io\.containerd\.gc\.v1\.scheduler'\]\n {4}pause_threshold = 0\.1\n/);
  match(out, /\nimports = \['more\.toml'\]\n/);
  match(out, /\n\[debug\]\n {2}level = ''\n/);
  match(
    err,
    /warning: @\/config\.toml:5:3: unknown key plugins\.'io\.containerd\.gc\.v1\.scheduler'\.pause_treshold: did you mean pause_threshold\?\n/,
  );
});

Deno.test("config migrate keeps the patterns of imports, also of files of a later version, and what they say", async () => {
  const files = {
    "config.toml": "version = 2\nroot = '/old'\nimports = ['*.drop.toml']\n[grpc]\naddress = '/x/c.sock'\n",
    "a.drop.toml": "version = 3\nroot = '/new'\n[plugins.'io.containerd.gc.v1.scheduler']\npause_threshold = 0.3\n",
  };
  const refused = await run(["dump"], files);
  match(refused.err, /drop-in config version 3 higher than root config version 2/);
  const { code, out, err } = await run(["migrate"], files);
  deepEqual([code, out.includes("imports = ['*.drop.toml']")], [0, true], err);
  match(out, /\nroot = '\/old'\n/);
  const { out: dumped } = await run(["dump"], { ...files, "config.toml": out });
  match(dumped, /\nroot = '\/new'\n/);
  match(dumped, /\n {4}pause_threshold = 0\.3\n/);
  match(dumped, /\n {4}address = '\/x\/c\.sock'\n/);
});

Deno.test("config dump --origins says where each value was written", async () => {
  const { out } = await run(["dump", "--origins"], old);
  match(out, /\nroot = '\/old' # @\/config\.toml:1:1\nstate = '\/run\/containerd' # default\n/);
  match(out, /\n {4}pause_threshold = 0\.1 # @\/config\.toml:4:3\n {4}deletion_threshold = 0 # default\n/);
  match(out, /\n {2}level = 'debug' # @\/more\.toml:2:1\n/);
});

Deno.test("config check lists all problems in the order of files and lines, and fails", async () => {
  const { code, out, err } = await run(["check"], {
    "config.toml": "version = 4\nimports = ['b.toml']\n[debug]\nlevel = 5\n[grpc]\naddress = '/x'\n",
    "b.toml": "version = 4\noom = 1\nroot = 'x'",
  });
  deepEqual([code, err], [1, ""]);
  equal(
    out,
    "@/config.toml:4:1: error: debug.level is the number 5: want a string\n" +
      "@/config.toml:5:2: warning: grpc is deprecated and has no effect: use [plugins.'io.containerd.server.v1.grpc']\n" +
      "@/b.toml:2:1: warning: unknown key oom: it is ignored\n" +
      '@/b.toml:3:1: error: root is "x": want an absolute path\n',
  );
  const dumped = await run(["dump"], { "config.toml": "version = 4\noom_score = 'x'" });
  equal(dumped.code, 1);
  equal(
    dumped.err,
    'containerd: error: @/config.toml:2:1: oom_score is the string "x": want a whole number from -1000 to 1000, such as 0\n',
  );
  const broken = await run(["check"], { "config.toml": "version = 4\nroot = \n" });
  equal(broken.code, 1);
  match(broken.err, /^containerd: @\/config\.toml:2:\d+: /);
});

Deno.test("config check lets an old version pass, and says what to do about it", async () => {
  const { code, out } = await run(["check"], { "config.toml": "version = 2" });
  equal(code, 0);
  match(
    out,
    /^@\/config\.toml:1:1: note: the file has version 2: .*containerd config migrate.*\n@\/config\.toml: ok\n$/,
  );
});

Deno.test("config says what it can do, and refuses the rest", async () => {
  for (const args of [[], ["--help"], ["help"]]) {
    match((await run(args)).out, / {2}migrate {2}Print the file in the current version/);
  }
  match((await run(["dump", "-h"])).out, /^Usage: containerd config dump \[flags\]\n/);
  deepEqual(await run(["dumb"]), { code: 3, out: "", err: `No help topic for 'dumb': did you mean "dump"?\n` });
  match((await run(["dump", "x"])).err, /config dump takes no arguments, but there is "x"/);
  match((await run(["dump", "--origin"])).err, /unknown flag --origin: did you mean --origins\?/);
});

async function stock(...args: string[]): Promise<string | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command("containerd", { args }).output();
    const text = new TextDecoder().decode(success ? stdout : stderr);
    if (!success) throw new Error(text);
    return text;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const stockDefault = await stock("config", "default");
const isOld = stockDefault !== undefined && /^version = 2$/m.test(stockDefault);
const known = { schemas: pluginSchemas, foreign: foreignPlugins };

/** All typed values but the files. */
async function values(path: string) {
  const { config, problems } = await loadConfig({ path, ...known });
  const { plugins: _sections, imports: _files, ...rest } = config();
  const fields = Object.fromEntries(Object.entries(rest).filter(([, value]) => typeof value !== "function"));
  const plugins = pluginSchemas.map((schema) => [schema.uri, config().plugin(schema)]);
  return { values: { ...fields, plugins }, problems: problems.map(showProblem) };
}

Deno.test({
  name: "what a stock containerd 1.6 prints as its defaults are our defaults (needs containerd with version 2)",
  ignore: !isOld,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      const path = `${directory}/stock.toml`, own = `${directory}/own.toml`;
      await Deno.writeTextFile(path, stockDefault!);
      await Deno.writeTextFile(own, "version = 4");
      const theirs = await values(path);
      deepEqual(theirs.values, (await values(own)).values);
      equal(theirs.problems.length, 1, theirs.problems.join("\n"));
      match(theirs.problems[0]!, /the file has version 2/);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

/** What is merged by 1.6 as by 2.3; sections of plugins and repeated entries of lists are not. */
const pairs: readonly (readonly [main: string, dropIn: string])[] = [
  ["root = '/a'\noom_score = 5\ntemp = '/t'", "root = '/b'\nstate = '/s'\noom_score = 0\ntemp = ''"],
  [
    "disabled_plugins = ['io.containerd.a.v1.b', 'io.containerd.c.v1.d']",
    "disabled_plugins = ['io.containerd.e.v1.f']\nrequired_plugins = ['io.containerd.gc.v1.scheduler']",
  ],
  ["[timeouts]\nx = '1m'\n'io.containerd.timeout.task.state' = '9s'", "[timeouts]\nx = '2h'\ny = '1s'"],
  ["[proxy_plugins.p]\ntype = 'snapshot'\naddress = '/p'", "[proxy_plugins.p]\ntype = 'content'\naddress = '/q'"],
  ["[debug]\nlevel = 'info'\naddress = '/d'\nuid = 3", "[debug]\nlevel = 'debug'\nformat = 'json'"],
  [
    "[grpc]\naddress = '/g'\ntcp_address = '127.0.0.1:1'\nuid = 1",
    "[grpc]\naddress = '/h'\n[metrics]\naddress = '127.0.0.1:2'",
  ],
  [
    "[cgroup]\npath = '/x'\n[plugins.'io.containerd.gc.v1.scheduler']\npause_threshold = 0.3",
    "[plugins.'io.containerd.internal.v1.restart']\ninterval = '3s'",
  ],
  ["[stream_processors.x]\naccepts = ['a']\nreturns = 'b'\npath = 'p'", "[stream_processors.y]\nreturns = 'c'"],
];

Deno.test({
  name: "files that a stock containerd 1.6 has merged mean what they mean to us (needs containerd with version 2)",
  ignore: !isOld,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      const path = `${directory}/main.toml`, dumped = `${directory}/dumped`;
      for (const [main, dropIn] of pairs) {
        // Patterns of 1.6 begin at the working directory, which was a mistake: give the whole path.
        await Deno.writeTextFile(path, `version = 2\nimports = ['${directory}/d*.toml']\n${main}`);
        await Deno.writeTextFile(`${directory}/drop.toml`, `version = 2\n${dropIn}`);
        const text = (await stock("-c", path, "config", "dump"))!;
        await Deno.writeTextFile(dumped, text.replace(/^imports = .*$/m, "imports = []"));
        deepEqual((await values(path)).values, (await values(dumped)).values, `${main}\n${dropIn}`);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
