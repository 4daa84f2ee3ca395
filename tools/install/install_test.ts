import assert from "node:assert/strict";
import { needing } from "../../tests/peers.ts";
import { compileArgs, explain } from "../compile.ts";
import { parseInstallArgs } from "../install.ts";
import { libraryOf } from "./builds.ts";
import { workersOf } from "./bundle.ts";
import { install } from "./install.ts";
import { linkNames } from "./links.ts";

const root = new URL("../../", import.meta.url);

Deno.test("parseInstallArgs() takes a prefix in both forms and nothing that it does not know", () => {
  assert.deepEqual(parseInstallArgs([]), { prefix: "/usr/local", links: true });
  assert.deepEqual(parseInstallArgs(["--prefix", "/p", "--no-links"]), { prefix: "/p", links: false });
  assert.deepEqual(parseInstallArgs(["--prefix=p/q"]), { prefix: "p/q", links: true });
  assert.throws(() => parseInstallArgs(["--prefix"]), /wants a directory/);
  assert.throws(() => parseInstallArgs(["/p"]), /no option/);
});

Deno.test("linkNames() reads the names of main.ts's table", () => {
  assert.deepEqual(linkNames('const links: Record<string, string[]> = {\n  a: ["x"],\n  "b-c": ["y", "z"],\n};\n'), [
    "a",
    "b-c",
  ]);
  assert.throws(() => linkNames("const other = {};\n"), /no table/);
  assert.ok(linkNames(Deno.readTextFileSync(new URL("main.ts", root))).length > 0);
});

Deno.test("workersOf() finds every module that new Worker() starts", () => {
  assert.ok(workersOf(root).includes("daemon/diff/layer_worker_main.ts"));
});

Deno.test("compileArgs() takes the workers along, which deno compile does not find by itself", () => {
  const args = compileArgs(root, "out");
  assert.equal(args[args.indexOf("daemon/diff/layer_worker_main.ts") - 1], "--include");
});

Deno.test("explain() tells what to do where the runtime for executables cannot be had", () => {
  const said = "error sending request for url (https://dl.example/release/v2.9.6/denort-x86_64.zip): dns error";
  assert.match(
    explain(said) ?? "",
    /https:\/\/dl\.example\/release\/v2\.9\.6\/denort-x86_64\.zip: use deno task install/,
  );
  assert.equal(explain("error: Module not found"), undefined);
});

interface Outcome {
  code: number;
  text: string;
}

async function run(command: string, ...args: string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

function assertUsage({ code, text }: Outcome): void {
  assert.equal(code, 0, text);
  assert.match(text, /^Usage: barge/);
}

Deno.test("install() puts a tree below the prefix that runs wherever and by whomever it is called", async (t) => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.chmod(directory, 0o755);
    let prefix = `${directory}/prefix`;
    await Deno.mkdir(`${prefix}/bin`, { recursive: true });
    const names = linkNames(Deno.readTextFileSync(new URL("main.ts", root)));
    await Deno.writeTextFile(`${prefix}/bin/${names[0]}`, "somebody else's");
    const { launcher, unit, links, taken } = await install({ root, prefix, links: true });

    await t.step("with a link for each name but those that something else has", async () => {
      assert.deepEqual(taken, [`${prefix}/bin/${names[0]}`]);
      assert.deepEqual(links, names.slice(1).map((name) => `${prefix}/bin/${name}`));
      assert.equal(await Deno.readTextFile(`${prefix}/bin/${names[0]}`), "somebody else's");
    });
    await t.step("a second time, in place of the first", async () => {
      await Deno.remove(`${prefix}/bin/${names[0]}`);
      assert.deepEqual((await install({ root, prefix, links: true })).taken, []);
      assert.equal(await Deno.readLink(`${prefix}/bin/${names[0]}`), "barge");
      assert.deepEqual([...Deno.readDirSync(`${prefix}/lib`)].map(({ name }) => name).sort(), ["barge", "systemd"]);
      // The same sources are the same build.
      assert.equal([...Deno.readDirSync(`${prefix}/lib/barge`)].length, 1);
    });
    await t.step("with a unit for systemd", async () => {
      assert.ok((await Deno.readTextFile(unit)).includes(`ExecStart="${prefix}/bin/barge" daemon\n`));
    });
    await t.step("with the workers beside main.js, and those of tests left out", () => {
      const library = libraryOf(launcher);
      assert.ok(Deno.statSync(`${library}/layer_worker_main.js`).isFile);
      assert.throws(() => Deno.statSync(`${library}/answer_times_worker_main.js`), Deno.errors.NotFound);
    });
    await t.step("with an empty environment", async () => {
      assertUsage(await run("env", "-i", launcher, "help"));
    });
    await t.step("from a directory that was removed", async () => {
      const script = 'mkdir "$1" && cd "$1" && rmdir "$1" && exec "$2" help';
      assertUsage(await run("sh", "-c", script, "sh", `${directory}/gone`, launcher));
    });
    await t.step("with commands that are files of their own", async () => {
      const { code, text } = await run(launcher, "oci", "--root", `${directory}/states`, "checkpoint", "missing");
      assert.equal(code, 1);
      assert.match(text, /container does not exist/);
    });
    await t.step("through symbolic links", async () => {
      await Deno.symlink(launcher, `${directory}/first`);
      await Deno.symlink("first", `${directory}/second`);
      assertUsage(await run(`${directory}/second`, "help"));
    });
    await t.step("although the caller's variables would stop Deno", async () => {
      assertUsage(await run("env", "DENO_V8_FLAGS=--no-such-flag", "LD_PRELOAD=/no/such.so", launcher, "help"));
    });
    await t.step("at another place", async () => {
      await Deno.rename(prefix, `${directory}/moved`);
      prefix = `${directory}/moved`;
      assertUsage(await run(`${prefix}/bin/barge`, "help"));
    });
    await t.step({
      ...needing("for another user", { root: true, peers: ["util-linux"] }),
      fn: async () => {
        const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        assertUsage(await run("setpriv", ...nobody, "env", "-i", `${prefix}/bin/barge`, "help"));
      },
    });
    await t.step({
      ...needing("without the Deno that installed it", { root: true, peers: ["util-linux"] }),
      fn: async () => {
        const script = 'mount --bind /dev/null "$1" && ! "$1" --version 2>/dev/null && exec env -i "$2" help';
        assertUsage(
          await run("unshare", "--mount", "sh", "-c", script, "sh", Deno.execPath(), `${prefix}/bin/barge`),
        );
      },
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
