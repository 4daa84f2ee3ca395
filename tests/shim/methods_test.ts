/**
 * What containerd's own client never asks a shim for: limits by the API, a checkpoint, the shim's own cgroup, events by a
 * program, and what the shim says of itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { RuntimeInfo } from "../../api/gen/types/introspection.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { barge, systemTest } from "../command.ts";
import { makeScratch } from "../scratch.ts";
import { eventually, withBareShim } from "./bare_shim.ts";

const programs = ["busybox"];

systemTest(
  "the shim changes limits, and says that its own runtime makes no checkpoints",
  programs,
  () =>
    withBareShim(async (shim) => {
      await shim.run("c", { args: ["sleep", "1000"] });
      const resources = { pids: { limit: 33 }, memory: { limit: 64 << 20 } };
      const value = new TextEncoder().encode(JSON.stringify(resources));
      await shim.task.update({ id: "c", resources: { typeUrl: "LinuxResources", value }, annotations: {} });
      const files = shim.scratch.cgroups().filter((path) => path.endsWith("/c")).map((path) => `${path}/pids.max`);
      const limits = files.map((path) => {
        try {
          return Deno.readTextFileSync(path).trim();
        } catch {
          // Another hierarchy.
          return undefined;
        }
      });
      assert.deepEqual(limits.filter((limit) => limit !== undefined), ["33"]);
      await assert.rejects(
        shim.task.checkpoint({ id: "c", path: `${shim.scratch.path}/image`, options: undefined }),
        { code: "NotImplemented", message: /cannot be checkpointed/ },
      );
      await shim.remove("c");
      await assert.rejects(shim.task.stats({ id: "c" }), { code: "NotFound" });
    }),
);

systemTest("the shim publishes events by a program where there is no ttrpc socket", programs, async () => {
  const directory = await Deno.makeTempDir({ prefix: "barge-publish-" });
  try {
    const program = `${directory}/containerd`;
    await Deno.writeTextFile(program, `#!/bin/sh\necho "$@" "$(wc -c)" >> ${directory}/told\n`, { mode: 0o755 });
    await withBareShim(async (shim) => {
      await shim.run("c", { args: ["true"] });
      assert.equal(await shim.wait("c"), 0);
      await shim.delete("c");
      const told = () => Deno.readTextFile(`${directory}/told`).catch(() => "");
      await eventually(() => "no deletion was published", async () => (await told()).includes("/tasks/delete"));
      const lines = (await told()).trim().split("\n");
      const topics = lines.map((line) => /publish --topic (\S+) --namespace/.exec(line)?.[1]);
      assert.deepEqual(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
      for (const line of lines) assert.match(line, /^--address \/none publish .* [1-9]\d*$/);
    }, { command: [...barge, "shim", "-publish-binary", program], env: { TTRPC_ADDRESS: "" } });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** Runs an action of the shim with bytes on its standard input; gives what it wrote. */
async function ask(words: readonly string[], cwd: string, input: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const child = new Deno.Command(barge[0]!, {
    args: [...barge.slice(1), "shim", ...words],
    cwd,
    env: { TTRPC_ADDRESS: "" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(input);
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return stdout;
}

systemTest("the shim says what its runtime can do", programs, async () => {
  const info = RuntimeInfo.decode(await ask(["-info"], "/", new Uint8Array()));
  assert.equal(info.name, "containerd-shim-ts-v2");
  assert.match(info.features!.typeUrl, /runtime-spec\/1\/features\/Features$/);
  const features = JSON.parse(new TextDecoder().decode(info.features!.value));
  assert(features.linux.namespaces.includes("mount"));
});

systemTest("the shim goes into the cgroup that the options name", programs, async () => {
  await using scratch = await makeScratch();
  const shimCgroup = `/${scratch.name}-shim`;
  const value = Options.encode(Options.create({ shimCgroup })).finish();
  const options = Any.encode({ typeUrl: "containerd.runc.v1.Options", value }).finish();
  const words = ["-namespace", scratch.name, "-address", `${scratch.path}/none`, "-id", "c", "start"];
  const address = new TextDecoder().decode(await ask(words, scratch.path, new Uint8Array(options)));
  assert.match(address, /^unix:\/\/\//);
  const pid = Number(await Deno.readTextFile(`${scratch.path}/shim.pid`));
  try {
    assert.match(await Deno.readTextFile(`/proc/${pid}/cgroup`), new RegExp(`:${shimCgroup}$`, "m"));
  } finally {
    Deno.kill(pid, "SIGTERM");
  }
  const isThere = () => Deno.stat(`/proc/${pid}/exe`).then(() => true, () => false);
  await eventually(() => "the shim stays", async () => !await isThere());
  await eventually(() => `${scratch.cgroups()}`, () => {
    for (const path of scratch.cgroups()) Deno.removeSync(path);
    return scratch.cgroups().length === 0;
  });
});
