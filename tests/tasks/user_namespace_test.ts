/**
 * Containers in user namespaces: snapshots whose owners were changed, and mounts with ids mapped; barge's daemon and
 * stock containerd with barge's shim.
 */
import assert from "node:assert/strict";
import { type Container, ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { CreateTaskRequest, TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import type { Mount } from "../../api/gen/types/mount.ts";
import { connect, dialUnix } from "../../api/grpc/client.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { systemTest } from "../command.ts";
import { startOwnShimBench } from "./own_shim_fixture.ts";
import { image, type TaskBench } from "./task_fixture.ts";

const programs = ["busybox", "tar", "ctr", "skopeo"];
const map = "0:100000:65536";
const maps = ["--uidmap", map, "--gidmap", map];
/** Both names of the shim; with maps ctr 1.6 sends the second one options of an older type. */
const runtimes = ["io.containerd.runc.v2", "io.containerd.ts.v2"];
const runtime = ["--runtime", "io.containerd.runc.v2"];
const snapshotters = ["overlayfs", "native"];
const script = "cat /proc/self/uid_map; id -u; touch /made /etc/made; echo x >> /etc/passwd; " +
  "stat -c '%n %u' /made /etc /etc/passwd /bin/busybox";
const seen = "0 100000 65536\n0\n/made 0\n/etc 0\n/etc/passwd 0\n/bin/busybox 0\n";

const squeeze = (text: string): string => text.replace(/ +/g, " ").replace(/^ /gm, "");

for (const kind of ["barge", "stock"] as const) {
  systemTest(`${kind}: ctr run --uidmap makes the container's root the owner of its files`, programs, async () => {
    await using bench = await startOwnShimBench({ kind });
    for (const snapshotter of snapshotters) {
      for (const name of runtimes) {
        const words = ["run", "--rm", "--runtime", name, "--snapshotter", snapshotter, ...maps, image, "c"];
        const { code, stdout, stderr } = await bench.ctr(...words, "sh", "-c", script);
        assert.deepEqual([code, squeeze(stdout)], [0, seen], `${name} ${snapshotter}: ${stderr}`);
      }
    }
    await bench.assertNothingLeft();
  });

  systemTest(
    `${kind}: a root whose mounts map ids shows the image's owners, and keeps what is written`,
    programs,
    async () => {
      await using bench = await startOwnShimBench({ kind });
      for (const snapshotter of snapshotters) {
        for (const hooks of [false, true]) {
          const { stdout, mounts, status } = await runMapped(bench, snapshotter, hooks);
          assert.deepEqual([status, squeeze(stdout)], [0, seen], `${snapshotter} hooks=${hooks}`);
          // The lower layers' files are as they were; a copy has the owner on the host.
          const [mount] = mounts;
          const upper = mount!.options.find((option) => option.startsWith("upperdir="))?.slice(9);
          const { uid } = await Deno.stat(`${upper ?? mount!.source}/made`);
          assert.equal(uid, upper === undefined ? 0 : 100_000);
        }
      }
      await bench.assertNothingLeft();
    },
  );
}

systemTest("barge: ctr run --remap-labels leaves the mapping to the snapshot's mounts", programs, async () => {
  await using bench = await startOwnShimBench({ kind: "barge" });
  for (const snapshotter of snapshotters) {
    const words = ["run", "--rm", ...runtime, "--snapshotter", snapshotter, ...maps, "--remap-labels", image, "c"];
    const { code, stdout, stderr } = await bench.ctr(...words, "sh", "-c", script);
    assert.deepEqual([code, squeeze(stdout)], [0, seen], `${snapshotter}: ${stderr}`);
  }
  await bench.assertNothingLeft();
});

/** Runs the script in a snapshot that nobody has changed for the maps, with the options that containerd 2 gives. */
async function runMapped(bench: TaskBench, snapshotter: string, hooks: boolean) {
  const id = `m-${snapshotter}-${hooks}`;
  const words = ["c", "create", ...runtime, "--snapshotter", snapshotter, image, id, "true"];
  await bench.ask(...words);
  using channel = connect({
    open: dialUnix(bench.daemon.address),
    metadata: { "containerd-namespace": bench.namespace },
  });
  const containers = channel.client(ContainersDefinition);
  const { container } = await containers.get({ id });
  await containers.update({ container: withUser(container!, hooks), updateMask: ["spec"] });
  const given = await channel.client(SnapshotsDefinition).mounts({ snapshotter, key: id });
  const mounts: Mount[] = given.mounts.map((mount) => ({
    ...mount,
    options: [`uidmap=${map}`, `gidmap=${map}`, ...mount.options],
  }));
  const upper = mounts[0]!.options.find((option) => option.startsWith("upperdir="))?.slice(9);
  // As snapshotters do it that map ids.
  if (upper !== undefined) await Deno.chown(upper, 100_000, 100_000);
  const output = `${bench.scratch.path}/${id}.out`;
  const tasks = channel.client(TasksDefinition);
  await tasks.create(CreateTaskRequest.create({ containerId: id, rootfs: mounts, stdout: `file://${output}` }));
  await tasks.start({ containerId: id, execId: "" });
  const { exitStatus } = await tasks.wait({ containerId: id, execId: "" });
  await tasks.delete({ containerId: id });
  await bench.ask("c", "rm", "--keep-snapshot", id);
  return { stdout: await Deno.readTextFile(output), mounts, status: exitStatus };
}

function withUser(container: Container, hooks: boolean): Container {
  const spec = JSON.parse(new TextDecoder().decode(container.spec!.value)) as Spec;
  spec.process!.args = ["sh", "-c", script];
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  spec.linux!.namespaces!.push({ type: "user" });
  Object.assign(spec.linux!, { uidMappings: mappings, gidMappings: mappings });
  if (hooks) spec.hooks = { prestart: [{ path: "/bin/true" }] };
  return { ...container, spec: { ...container.spec!, value: new TextEncoder().encode(JSON.stringify(spec)) } };
}
