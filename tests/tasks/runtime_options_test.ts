/**
 * Runtime options that only a container's record has, as ctr and nerdctl write them: each must have its effect, whoever's
 * shim it is.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { Options as TextOptions } from "../../api/gen/types/runtimeoptions/v1/api.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import { flags } from "../../ffi/constants.ts";
import { openFile } from "../../ffi/descriptor.ts";
import { makeFifo } from "../../ffi/fifo.ts";
import { isThere } from "../../ffi/is_there.ts";
import { systemTest } from "../command.ts";
import { ownRuntime, startOwnShimBench } from "./own_shim_fixture.ts";
import { image, startTaskBench, type TaskBench } from "./task_fixture.ts";

const programs = ["busybox", "tar", "ctr", "skopeo", "runc"];

interface Shim {
  readonly name: string;
  readonly runtime: string;
  readonly start: () => Promise<TaskBench>;
}

const stock: Shim = { name: "containerd's shim", runtime: "io.containerd.runc.v2", start: () => startTaskBench() };
const own: Shim = { name: "barge's shim", runtime: ownRuntime, start: () => startOwnShimBench() };

/** Services of the bench's daemon. */
function clientOf({ daemon, namespace }: TaskBench) {
  const channel = connect({ open: dialUnix(daemon.address), metadata: { "containerd-namespace": namespace } });
  return {
    containers: channel.client(ContainersDefinition),
    snapshots: channel.client(SnapshotsDefinition),
    tasks: channel.client(TasksDefinition),
    [Symbol.dispose]: () => channel.close(),
  };
}

type Client = ReturnType<typeof clientOf>;

const optionsOf = (options: Partial<Options>) => ({
  typeUrl: "containerd.runc.v1.Options",
  value: Options.encode(Options.create(options)).finish(),
});

/** Makes a cgroup in all hierarchies: containerd's shim wants it to be there. */
async function makeCgroup(name: string): Promise<void> {
  const top = "/sys/fs/cgroup";
  const below = [...Deno.readDirSync(top)].filter(({ isDirectory }) => isDirectory).map(({ name }) => `${top}/${name}`);
  const isHierarchy = (path: string) => isThere(`${path}/cgroup.procs`);
  for (const hierarchy of isHierarchy(top) ? [top] : below.filter(isHierarchy)) {
    await Deno.mkdir(`${hierarchy}${name}`);
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (!hierarchy.endsWith("cpuset")) continue;
      await Deno.writeTextFile(`${hierarchy}${name}/${file}`, await Deno.readTextFile(`${hierarchy}/${file}`));
    }
  }
}

/** Makes a container with the options in its record, and its task without any. */
async function create(
  bench: TaskBench,
  client: Client,
  { runtime }: Shim,
  id: string,
  options: { typeUrl: string; value: Uint8Array },
  outputs: { stdout: string; stderr: string } = { stdout: "", stderr: "" },
): Promise<number> {
  await bench.ask("containers", "create", "--runtime", runtime, image, id, "sleep", "1000");
  const { container } = await client.containers.get({ id });
  assert(container !== undefined);
  await client.containers.delete({ id });
  await client.containers.create({ container: { ...container, runtime: { name: runtime, options } } });
  const { snapshotter, snapshotKey: key } = container;
  const { mounts: rootfs } = await client.snapshots.mounts({ snapshotter, key });
  const none = { checkpoint: undefined, options: undefined, runtimePath: "", taskApiAddress: "", taskApiVersion: 0 };
  const streams = { stdin: "", ...outputs, terminal: false };
  return (await client.tasks.create({ containerId: id, rootfs, ...streams, ...none })).pid;
}

async function remove(bench: TaskBench, id: string): Promise<void> {
  await bench.ctr("tasks", "rm", "-f", id);
  await bench.ask("containers", "rm", id);
}

/** A runtime that keeps its words and is runc; systemd is not there. */
async function writeRuntime(directory: string): Promise<{ program: string; words: () => string }> {
  const program = `${directory}/runtime`, words = `${directory}/words`;
  const script = `#!/bin/bash
echo "$@" >>${words}
kept=()
for word; do [ "$word" = --systemd-cgroup ] || kept+=("$word"); done
exec runc "\${kept[@]}"
`;
  await Deno.writeTextFile(program, script, { mode: 0o755 });
  return { program, words: () => Deno.readTextFileSync(words) };
}

for (const shim of [stock, own]) {
  systemTest(`a container's own options have their effects with ${shim.name}`, programs, async () => {
    await using bench = await shim.start();
    using client = clientOf(bench);
    const directory = bench.scratch.path;
    const { program, words } = await writeRuntime(directory);
    const root = `${directory}/states`;
    const all = { binaryName: program, root, systemdCgroup: true, noPivotRoot: true, noNewKeyring: true };
    const pid = await create(bench, client, shim, "all", optionsOf(all));
    assert(pid > 1);
    const [line = ""] = words().split("\n");
    assert.match(line, / --systemd-cgroup .*create .*--no-pivot .*--no-new-keyring all$/);
    assert(line.includes(`--root ${root}/${bench.namespace} `), line);
    assert(Deno.statSync(`${root}/${bench.namespace}/all`).isDirectory);
    await remove(bench, "all");
    await Deno.remove(root, { recursive: true });

    await assert.rejects(create(bench, client, shim, "none", optionsOf({ binaryName: "/nothere" })), /nothere/);
    await bench.ask("containers", "rm", "none");

    const outputs = { stdout: `${directory}/out`, stderr: `${directory}/err` };
    for (const path of Object.values(outputs)) makeFifo(path, 0o700);
    using _out = openFile(outputs.stdout, flags("O_RDONLY", "O_NONBLOCK"));
    using _err = openFile(outputs.stderr, flags("O_RDONLY", "O_NONBLOCK"));
    const streamed = await create(bench, client, shim, "streams", optionsOf({ ioUid: 1234, ioGid: 2345 }), outputs);
    const { uid, gid } = Deno.statSync(`/proc/${streamed}/fd/1`);
    // runc gives them to the process's user, and leaves the group.
    assert.deepEqual([uid, gid], [shim === own ? 1234 : 0, 2345]);
    await remove(bench, "streams");

    const shimCgroup = `/${bench.scratch.name}-shims`;
    await makeCgroup(shimCgroup);
    await create(bench, client, shim, "grouped", optionsOf({ shimCgroup }));
    const groups = bench.processes().map(({ pid }) => Deno.readTextFileSync(`/proc/${pid}/cgroup`));
    assert(groups.some((text) => text.includes(shimCgroup)), groups.join("\n"));
    await remove(bench, "grouped");
    // It is the user's, who may have others in it.
    const isShims = (path: string) => path.endsWith(shimCgroup);
    for (const { pid } of bench.processes()) Deno.kill(pid, "SIGTERM");
    while (bench.processes().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const path of bench.scratch.cgroups().filter(isShims)) await Deno.remove(path);
    await bench.assertNothingLeft();
  });
}

systemTest("barge's shim takes options as a text of runc's names, and drives the runtime of it", programs, async () => {
  await using bench = await startOwnShimBench();
  using client = clientOf(bench);
  const { program, words } = await writeRuntime(bench.scratch.path);
  const text = (body: string) => ({
    typeUrl: "runtimeoptions.v1.Options",
    value: TextOptions.encode(TextOptions.create({ configBody: new TextEncoder().encode(body) })).finish(),
  });
  await create(bench, client, own, "empty", text(""));
  await remove(bench, "empty");
  await create(bench, client, own, "driven", text(`BinaryName = "${program}"\nNoPivotRoot = true\n`));
  assert.match(words(), /create .*--no-pivot driven\n/);
  await remove(bench, "driven");
  await assert.rejects(create(bench, client, own, "wrong", text("Speed = 9")), /the options have no "Speed"/);
  await bench.ask("containers", "rm", "wrong");
  await bench.assertNothingLeft();
});
