import assert from "node:assert/strict";
import { needing } from "../../tests/peers.ts";
import { type Arch, hostArch } from "../arch.ts";
import { type Launch, parseLaunch } from "../launch.ts";
import { launcherElf } from "./launcher.ts";

/** What the program that the launcher starts says of itself. */
interface Told {
  args: string[];
  cwd: string;
  environment: Record<string, string>;
}

const program = `console.log(JSON.stringify({
  args: Deno.args, cwd: Deno.cwd(), environment: Deno.env.toObject() }));\n`;

/** A prefix with a launcher and a program that tells what it was given. */
class Prefix implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(arch: Arch = hostArch): Promise<Prefix> {
    const path = await Deno.realPath(await Deno.makeTempDir());
    await Deno.mkdir(`${path}/bin`);
    await Deno.mkdir(`${path}/lib/barge`, { recursive: true });
    await Deno.writeFile(`${path}/bin/barge`, launcherElf(arch));
    await Deno.chmod(`${path}/bin/barge`, 0o755);
    await Deno.writeTextFile(`${path}/lib/barge/main.js`, program);
    await Deno.symlink(Deno.execPath(), `${path}/lib/barge/deno`);
    return new Prefix(path);
  }

  /** Runs a shell script in which `$1` is the launcher. */
  async sh(script: string, env: Record<string, string> = {}): Promise<{ code: number; text: string; errors: string }> {
    const output = await new Deno.Command("sh", {
      args: ["-c", script, "sh", `${this.path}/bin/barge`],
      env,
      cwd: this.path,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { code: output.code, text: decoder.decode(output.stdout), errors: decoder.decode(output.stderr) };
  }

  /** What the program told, and its launch, when the script runs it. */
  async told(script: string, env: Record<string, string> = {}): Promise<Told & { launch: Launch }> {
    const { code, text, errors } = await this.sh(script, env);
    assert.equal(code, 0, errors);
    const told: Told = JSON.parse(text);
    return { ...told, launch: parseLaunch(told.environment) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

Deno.test("the launcher passes arguments on as they are", async () => {
  await using prefix = await Prefix.make();
  const { args } = await prefix.told(`exec "$1" run --help '' 'two words' grüße -- --v8-flags=x`);
  assert.deepEqual(args, ["run", "--help", "", "two words", "grüße", "--", "--v8-flags=x"]);
});

Deno.test("the launcher tells the caller's limit of open files, umask and ignored signals", async () => {
  await using prefix = await Prefix.make();
  const { launch, environment } = await prefix.told(
    `ulimit -Sn 100; ulimit -Hn 200; umask 027; trap '' USR1; exec "$1"`,
  );
  assert.deepEqual(launch.nofile, { soft: 100n, hard: 200n });
  assert.equal(launch.umask, 0o27);
  const [, , , , ignored, blocked] = environment["BARGE_LAUNCH"]!.split(":");
  assert.equal(parseInt(ignored!, 16) & 1 << 9, 1 << 9); // SIGUSR1 is 10.
  assert.equal(blocked, "0");
});

Deno.test("the launcher keeps variables from Deno, and their values for containers", async () => {
  await using prefix = await Prefix.make();
  const foreign = {
    DENO_V8_FLAGS: "--no-such-flag",
    DENO_DIR: "/nowhere",
    NODE_OPTIONS: "--no-such-option",
    LD_PRELOAD: "/no/such.so",
    PLAIN: "kept",
    BARGE_LAUNCH: "1:1:1:1:1:1",
    BARGE_ARGV0: "forged",
    BARGE_ENV_FORGED: "x",
  };
  const { launch, environment, cwd } = await prefix.told(`exec "$1"`, foreign);
  const { DENO_V8_FLAGS, DENO_DIR, NODE_OPTIONS, LD_PRELOAD, PLAIN } = foreign;
  for (const [name, value] of Object.entries({ DENO_V8_FLAGS, DENO_DIR, NODE_OPTIONS, LD_PRELOAD, PLAIN })) {
    assert.equal(launch.environment.get(name), value, name);
  }
  assert.equal(environment["DENO_DIR"], `${prefix.path}/lib/barge/cache`);
  assert.equal(launch.argv0, `${prefix.path}/bin/barge`);
  assert.notDeepEqual(launch.nofile, { soft: 1n, hard: 1n });
  assert.equal(launch.environment.has("FORGED"), false);
  assert.equal(cwd, prefix.path);
});

Deno.test("the launcher finds its program through links, and tells the name that it was called by", async () => {
  await using prefix = await Prefix.make();
  await Deno.symlink("barge", `${prefix.path}/bin/runc`);
  const { launch } = await prefix.told(`PATH="$(dirname "$1"):$PATH"; exec runc`);
  assert.equal(launch.argv0.split("/").at(-1), "runc");
});

Deno.test("the launcher starts Deno also in a directory that was removed", async () => {
  await using prefix = await Prefix.make();
  const { cwd } = await prefix.told(`mkdir gone && cd gone && rmdir ../gone && exec "$1"`);
  assert.equal(cwd, "/");
});

Deno.test("the launcher finds its program where the tree was moved to", async () => {
  await using prefix = await Prefix.make();
  const { launch } = await prefix.told(`mkdir new && mv bin lib new && exec new/bin/barge`);
  assert.equal(launch.argv0, "new/bin/barge");
});

Deno.test("the launcher waits for a shim's start only until the answer is given", async () => {
  await using prefix = await Prefix.make();
  const body = `const pipe = parseInt(Deno.env.get("BARGE_START"), 16);
    console.log("answer", Deno.args.at(-1));
    if (Deno.args[0] === "good") Deno.writeFileSync("/proc/self/fd/" + pipe, new Uint8Array([1]));\n`;
  await Deno.writeTextFile(`${prefix.path}/lib/barge/main.js`, body);
  const link = 'ln -sf barge "$(dirname "$1")/containerd-shim-x-v1"; "$(dirname "$1")/containerd-shim-x-v1"';
  assert.deepEqual(await prefix.sh(`${link} good start`), { code: 0, text: "answer start\n", errors: "" });
  assert.deepEqual(await prefix.sh(`${link} bad start`), { code: 1, text: "answer start\n", errors: "" });
});

Deno.test("the launcher answers a shim's delete by what the bundle of that container has noted", async () => {
  await using prefix = await Prefix.make();
  await Deno.writeTextFile(`${prefix.path}/lib/barge/main.js`, 'console.log("deno");\n');
  const script = (id: string): string =>
    'ln -sf barge "$(dirname "$1")/containerd-shim-x-v1"; mkdir -p box; cd box; printf noted > deleted; ' +
    `"$(dirname "$1")/containerd-shim-x-v1" -id ${id} delete`;
  assert.equal((await prefix.sh(script("box"))).text, "noted");
  assert.equal((await prefix.sh(script("other"))).text, "deno\n");
});

Deno.test("the launcher says what is missing, and exits with 125", async () => {
  await using prefix = await Prefix.make();
  await Deno.remove(`${prefix.path}/lib/barge/deno`);
  const { code, errors } = await prefix.sh(`exec "$1"`);
  assert.equal(code, 125);
  assert.equal(errors, `barge: cannot start Deno, which should be ${prefix.path}/lib/barge/deno\n`);
});

Deno.test("the launcher hands over a large environment and many arguments", async () => {
  await using prefix = await Prefix.make();
  const script = `for i in $(seq 1000); do export "VARIABLE_$i=$i"; done; exec "$1" $(seq 5000)`;
  const { args, environment } = await prefix.told(script);
  assert.equal(args.length, 5000);
  assert.equal(environment["VARIABLE_1000"], "1000");
});

Deno.test({
  ...needing("the launcher of aarch64 does the same", {
    peers: ["qemu-user-static"],
    other: hostArch === "x86_64" ? undefined : "this machine is one itself",
  }),
  async fn() {
    await using prefix = await Prefix.make("aarch64");
    const script = `ulimit -Sn 100; umask 027; exec qemu-aarch64-static "$1" a 'b c'`;
    const { args, launch, environment } = await prefix.told(script, { DENO_V8_FLAGS: "--no-such-flag" });
    assert.deepEqual(args, ["a", "b c"]);
    assert.equal(launch.umask, 0o27);
    assert.equal(launch.nofile?.soft, 100n);
    assert.equal(launch.environment.get("DENO_V8_FLAGS"), "--no-such-flag");
    assert.equal(environment["DENO_DIR"], `${prefix.path}/lib/barge/cache`);
  },
});
