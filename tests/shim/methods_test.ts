/**
 * What containerd's own client never asks a shim for: limits by the API, checkpoints, the shim's own cgroup, events by a
 * program, and what the shim says of itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { RuntimeInfo } from "../../api/gen/types/introspection.ts";
import { CheckpointOptions, Options } from "../../api/gen/types/runc/options/oci.ts";
import { Status } from "../../api/gen/types/task/task.ts";
import { requestTypes } from "../../shim/oci/criu/messages.ts";
import { barge, systemTest } from "../command.ts";
import type { FakePlan } from "../criu/fake_criu.ts";
import { type FakeCriu, fakeCriu } from "../criu/install_fake.ts";
import { makeScratch } from "../scratch.ts";
import { type BareShim, eventually, withBareShim } from "./bare_shim.ts";

const programs = ["busybox"];

systemTest(
  "the shim changes limits, which are gone with the container",
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
      await shim.remove("c");
      await assert.rejects(shim.task.stats({ id: "c" }), { code: "NotFound" });
    }),
);

/** Runs the body with a shim that finds a fake criu. */
async function withFakeCriu(plan: FakePlan, body: (shim: BareShim, fake: FakeCriu) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "barge-criu-" });
  try {
    const fake = await fakeCriu({ path }, plan);
    const env = { PATH: `${fake.directory}:${Deno.env.get("PATH")}` };
    await withBareShim((shim) => body(shim, fake), { env });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

const exiting = (options: Partial<CheckpointOptions>) => ({
  typeUrl: "containerd.runc.v1.CheckpointOptions",
  value: CheckpointOptions.encode(CheckpointOptions.create(options)).finish(),
});

systemTest(
  "the shim has containers saved, which go on or end as they are asked to",
  programs,
  () =>
    withFakeCriu({}, async (shim, fake) => {
      const pid = await shim.run("c", { args: ["sleep", "1000"] });
      const path = `${shim.scratch.path}/images`;
      await shim.task.checkpoint({ id: "c", path, options: undefined });
      assert.equal((await shim.task.state({ id: "c", execId: "" })).pid, pid);
      const options = exiting({ exit: true, openTcp: true, imagePath: `${path}2`, cgroupsMode: "ignore" });
      await shim.task.checkpoint({ id: "c", path, options });
      assert.equal(await shim.wait("c"), 137);
      await shim.delete("c");
      await shim.tells("c", ["create", "start", "exit 137", "delete 137"]);
      const dumps = (await fake.requests()).filter(({ request }) => request.type === requestTypes.dump);
      assert.deepEqual(
        dumps.map(({ images, request: { options } }) => [
          ...[images, options?.pid, options?.leaveRunning, options?.tcpEstablished, options?.manageCgroupsMode],
        ]),
        [[path, pid, true, false, 6], [`${path}2`, pid, false, true, 0]],
      );
    }),
);

systemTest(
  "the shim says why a container cannot be saved or restored, and both can be deleted",
  programs,
  () =>
    withFakeCriu({ fails: "(1) Error (criu/x.c:1): no such thing\n" }, async (shim) => {
      const path = `${shim.scratch.path}/images`;
      await shim.run("c", { args: ["sleep", "1000"] });
      const log = `${shim.bundle("c")}/criu-dump.log`;
      const text = `OCI runtime checkpoint failed: criu failed: type DUMP errno 5: no such thing path= ${log}`;
      await assert.rejects(shim.task.checkpoint({ id: "c", path, options: undefined }), {
        code: "Unknown",
        message: text,
      });
      assert.match(await Deno.readTextFile(log), /no such thing/);
      await assert.rejects(Deno.stat(`${shim.bundle("c")}/criu-work`), Deno.errors.NotFound);
      await shim.remove("c");
      // As containerd's own shim has it, the start restores.
      const pid = await shim.create("d", { args: ["sleep", "1000"], checkpoint: path });
      assert.equal(pid, 0);
      await assert.rejects(shim.task.checkpoint({ id: "d", path, options: undefined }), {
        message: "cannot checkpoint a task in created state",
      });
      await assert.rejects(shim.task.start({ id: "d", execId: "" }), {
        message: /^OCI runtime restore failed: criu failed: type RESTORE errno 5: no such thing\nlog file: /,
      });
      await shim.delete("d");
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

systemTest(
  "an exec whose container has ended before its start is stopped, and nobody waits for it",
  programs,
  () =>
    withBareShim(async (shim) => {
      await shim.run("c", { args: ["sleep", "1000"] });
      const value = new TextEncoder().encode(JSON.stringify({ args: ["true"], cwd: "/", user: { uid: 0, gid: 0 } }));
      const streams = { stdin: "", stdout: "", stderr: "", terminal: false };
      await shim.task.exec({ id: "c", execId: "e", ...streams, spec: { typeUrl: "", value } });
      const waiting = shim.wait("c", "e");
      await shim.kill("c", 9);
      await shim.wait("c");
      assert.equal(await waiting, 255);
      const { status, exitStatus } = await shim.task.state({ id: "c", execId: "e" });
      assert.deepEqual([status, exitStatus], [Status.STOPPED, 255]);
      await assert.rejects(shim.task.start({ id: "c", execId: "e" }), {
        code: "FailedPrecondition",
        message: "container c init process is not running",
      });
      assert.equal(await shim.delete("c", "e"), 255);
      await shim.delete("c");
      await shim.tells("c", ["create", "start", "exec-added e", "exit 137", "delete 137"]);
    }),
);

/** Memory that the shim shares with processes that it launches. */
const launches = (shim: BareShim) => Deno.readTextFileSync(`/proc/${shim.pid}/maps`).match(/\/dev\/zero/g)?.length ?? 0;

systemTest("the shim keeps nothing of the launch of processes that run", programs, () =>
  withBareShim(async (shim) => {
    await shim.run("first", { args: ["sleep", "1000"] });
    const before = launches(shim), pipes = shim.descriptors().get("pipe:") ?? 0;
    const ids = Array.from({ length: 10 }, (_, index) => `c${index}`);
    for (const id of ids) {
      await shim.run(id, { args: ["sleep", "1000"] });
      await shim.exec(id, "e", ["sleep", "1000"]);
    }
    await eventually(() => `${launches(shim)} instead of ${before}`, () => launches(shim) <= before);
    // The first one's may not have been closed when they were counted.
    assert.ok((shim.descriptors().get("pipe:") ?? 0) <= pipes);
    for (const id of ["first", ...ids]) await shim.remove(id);
  }));
