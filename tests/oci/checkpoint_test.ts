/**
 * What checkpoint and restore ask of criu, and what they do when it fails; that containers really come back is for the
 * virtual machine (`tests/vm/cases/checkpoint.ts`).
 *
 * @module
 */
import assert from "node:assert/strict";
import { requestTypes } from "../../shim/oci/criu/messages.ts";
import { type Bundle, type Runtime, runtimeTest } from "../bundle.ts";
import type { FakePlan } from "../criu/fake_criu.ts";
import { fakeCriu } from "../criu/install_fake.ts";
import type { Scratch } from "../scratch.ts";

/** Starts a container that waits. */
async function startBox(bundle: Bundle, runtime: Runtime, scratch: Scratch): Promise<string> {
  await bundle.command("sleep", "1000");
  const id = scratch.id("c");
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
    ...["run", "--detach", "--bundle", bundle.path, id],
  ]);
  assert.equal(code, 0, stderr);
  return id;
}

runtimeTest("checkpoint and restore name what is wrong before criu is asked", async (bundle, runtime, scratch) => {
  const id = await startBox(bundle, runtime, scratch);
  const images = ["--image-path", `${scratch.path}/images`];
  const refusals: [args: string[], says: RegExp][] = [
    [["checkpoint", ...images, "--page-server", "nowhere", id], /Use --page-server ADDRESS:PORT/],
    [["checkpoint", ...images, "--manage-cgroups-mode", "odd", id], /Invalid manage.cgroups.mode/],
    [["checkpoint", ...images, "--empty-ns", "odd", id], /namespace \\?"odd\\?" is not supported/],
    [["checkpoint", ...images, "--parent-path", "/there", id], /--parent-path must be relative/],
    [["checkpoint", ...images, "--parent-path", "there", id], /invalid --parent-path: stat .*: no such file/],
    [["checkpoint", ...images, "missing"], /container does not exist/],
    [["checkpoint", ...images], /requires exactly 1 argument/],
  ];
  for (const [args, says] of refusals) {
    const { code, stderr } = await runtime.execute(args);
    assert.equal(code, 1, stderr);
    assert.match(stderr, says);
  }
  const missing = { env: { PATH: "/nonexistent" } };
  const command = runtime.name === "runc" ? ["/usr/sbin/runc", "--root", runtime.stateRoot] : [];
  if (command.length === 0) {
    const { code, stderr } = await runtime.execute(["checkpoint", ...images, id], missing);
    assert.equal(code, 1);
    assert.match(stderr, /CRIU version check failed: exec: \\"criu\\": executable file not found in \$PATH/);
    const restored = await runtime.execute(["restore", ...images, "--bundle", bundle.path, scratch.id("d")], missing);
    assert.match(restored.stderr, /CRIU version check failed: exec: \\"criu\\": executable file not found in \$PATH/);
  }
  assert.equal((await runtime.state(id))?.status, "running");
  await runtime.succeed(["kill", id, "KILL"]);
  await runtime.reaches(id, "stopped");
  assert.match(
    (await runtime.execute(["checkpoint", ...images, id])).stderr,
    /Container cannot be checkpointed in stopped state/,
  );
  await runtime.succeed(["delete", id]);
});

runtimeTest("a container's null streams are its own /dev/null", async (bundle, runtime, scratch) => {
  const id = await startBox(bundle, runtime, scratch);
  const { pid } = (await runtime.state(id))!;
  const [, mount] = /^mnt_id:\s*(\d+)$/m.exec(await Deno.readTextFile(`/proc/${pid}/fdinfo/0`))!;
  const own = (await Deno.readTextFile(`/proc/${pid}/mountinfo`)).split("\n").map((line) => line.split(" "));
  // One of the host's could be opened again, and its file system reached; and no checkpoint knows it.
  assert.equal(own.find(([number]) => number === mount)?.[4], "/dev");
  assert.equal((await Deno.stat(`/proc/${pid}/fd/0`)).rdev, (await Deno.stat("/dev/null")).rdev);
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("checkpoint asks criu for what its flags say", async (bundle, runtime, scratch) => {
  const { program, requests } = await fakeCriu(scratch, {});
  await Deno.writeTextFile(`${scratch.path}/given`, "x");
  await Deno.symlink("../etc", `${bundle.rootfs}/tmp/link`);
  await bundle.edit((spec) => {
    spec.mounts.push({ destination: "/tmp/link/given", type: "bind", source: "../given", options: ["bind"] });
    spec.annotations = { "org.criu.config": "/some/file" };
    spec.linux.maskedPaths = ["/proc/acpi", "/tmp/link/passwd", "/missing"];
  });
  const id = await startBox(bundle, runtime, scratch);
  const { pid } = (await runtime.state(id))!;
  await Deno.mkdir(`${scratch.path}/before`);
  const flags = ["--image-path", `${scratch.path}/images`, "--work-path", `${scratch.path}/logs`];
  await runtime.succeed([
    ...["--criu", program, "checkpoint", ...flags, "--parent-path", "../before", "--leave-running"],
    ...["--tcp-established", "--ext-unix-sk", "--shell-job", "--file-locks", "--auto-dedup", "--lazy-pages"],
    ...["--page-server", "[::1]:5000", "--manage-cgroups-mode", "full", "--empty-ns", "network", id],
  ]);
  const asked = await requests();
  assert.deepEqual(asked.map(({ request }) => request.type), [
    ...[requestTypes.version, requestTypes.featureCheck, requestTypes.dump],
  ]);
  const { images, work, request: { options } } = asked[2]!;
  assert.deepEqual([images, work], [`${scratch.path}/images`, `${scratch.path}/logs`]);
  const { externalMounts = [], imagesDirectory, workDirectory, freezeCgroup, ...plain } = options!;
  assert.ok(imagesDirectory !== workDirectory);
  assert.match(freezeCgroup ?? "", new RegExp(`^/sys/fs/cgroup/.*${id}$`));
  assert.deepEqual(plain, {
    ...{ pid, root: bundle.rootfs, logLevel: 4, logFile: "dump.log", configFile: "/some/file" },
    ...{ leaveRunning: true, extUnixSk: true, tcpEstablished: true, shellJob: true, fileLocks: true },
    ...{ autoDedup: true, lazyPages: true, orphanTerminal: true, notifies: true },
    ...{ manageCgroups: true, manageCgroupsMode: 4, emptyNamespaces: 0x40000000 },
    ...{ parentImage: "../before", trackMemory: true, pageServer: { address: "::1", port: 5000 } },
  });
  const values = new Map(externalMounts.map(({ key = "", value = "" }) => [key, value]));
  assert.equal(values.get("/etc/given"), "/etc/given");
  assert.equal(values.get("/etc/passwd"), "/dev/null");
  // A directory is hidden behind a file system, which criu saves.
  assert.deepEqual([values.has("/proc/acpi"), values.has("/missing")], [false, false]);
  assert.equal(JSON.parse(await Deno.readTextFile(`${scratch.path}/images/descriptors.json`))[0], "/dev/null");
  await runtime.succeed(["delete", "--force", id]);
}, { only: "barge" });

runtimeTest("checkpoint ends the container unless it goes on", async (bundle, runtime, scratch) => {
  const { program, requests } = await fakeCriu(scratch, {});
  const id = await startBox(bundle, runtime, scratch);
  const images = ["--image-path", `${scratch.path}/images`];
  await runtime.succeed(["--criu", program, "checkpoint", ...images, "--pre-dump", id]);
  assert.equal((await runtime.state(id))?.status, "running");
  assert.deepEqual((await requests()).map(({ request }) => request.type), [
    ...[requestTypes.version, requestTypes.featureCheck, requestTypes.preDump],
  ]);
  await runtime.succeed(["--criu", program, "checkpoint", ...images, id]);
  assert.equal(await runtime.state(id), undefined);
}, { only: "barge" });

runtimeTest(
  "a checkpoint that fails names criu's reason, and the container goes on",
  async (bundle, runtime, scratch) => {
    const id = await startBox(bundle, runtime, scratch);
    const log = "(00.01) all is well\n(00.02) Error (criu/net.c:3): Locking network failed\n" +
      "(00.03) Error (criu/util.c:6): exited, status=1\n(00.04) Error (criu/cr-dump.c:2): Dumping FAILED.\n";
    const attempts: [plan: FakePlan, flags: string[], says: string[]][] = [
      [{ fails: log }, [], ["criu failed: type DUMP errno 5: Locking network failed\\nlog file: ", "/images/dump.log"]],
      [{ fails: log }, ["--work-path", `${scratch.path}/logs`], ["/logs/dump.log"]],
      [{ fails: "" }, [], ["criu failed: type DUMP errno 5: said by criu\\n"]],
      [{ vanishes: true }, [], ["criu failed: it has ended without an answer"]],
      [{ lacks: "memoryTracking" }, ["--pre-dump"], ["criu is missing features: [MemTrack]"]],
      [{ lacks: "lazyPages" }, ["--lazy-pages"], ["criu is missing features: [LazyPages]"]],
    ];
    for (const [plan, flags, says] of attempts) {
      const { program } = await fakeCriu(scratch, plan);
      const words = ["--criu", program, "checkpoint", "--image-path", `${scratch.path}/images`, ...flags, id];
      const { code, stderr } = await runtime.execute(words);
      assert.equal(code, 1);
      for (const text of says) assert.ok(stderr.includes(text), stderr);
      assert.equal((await runtime.state(id))?.status, "running");
    }
    await runtime.succeed(["delete", "--force", id]);
  },
  { only: "barge" },
);

runtimeTest("a restoration that fails names criu's reason, and leaves nothing", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  const images = `${scratch.path}/images`;
  const restore = async (program: string, ...flags: string[]) => {
    const words = ["--criu", program, "restore", "--image-path", images, "--bundle", bundle.path, ...flags, id];
    const { code, stderr } = await runtime.execute(words);
    assert.equal(code, 1);
    return stderr;
  };
  const { program, requests } = await fakeCriu(scratch, { fails: "(1) Error (criu/x.c:1): no such image\n" });
  assert.match(await restore(program), /open .*\/images\/descriptors.json: no such file or directory/);
  await Deno.mkdir(images);
  await Deno.writeTextFile(`${images}/descriptors.json`, '["/dev/null","pipe:[17]","pipe:[18]"]');
  await bundle.edit((spec) => {
    spec.mounts.push({ destination: "/data", type: "bind", source: images, options: ["rbind"] });
    spec.mounts.push({ destination: "/data/inner", type: "bind", source: "/dev/null", options: ["bind"] });
    const network = spec.linux.namespaces?.find(({ type }) => type === "network");
    network!.path = "/proc/self/ns/net";
  });
  assert.match(await restore(program, "--detach", "--no-pivot"), /--no-pivot is not supported/);
  const said = await restore(program, "--detach", "--lsm-profile", "apparmor:x");
  assert.match(said, /criu failed: type RESTORE errno 5: no such image\\nlog file: .*\/images\/restore.log/);
  const { request: { options } } = (await requests()).at(-1)!;
  assert.deepEqual(options?.inherited, [
    ...[{ key: "pipe:[17]", fd: 1 }, { key: "pipe:[18]", fd: 2 }, { key: "extRootNetNS", fd: 4 }],
  ]);
  assert.equal(options?.root, `${runtime.stateRoot}/${id}/criu-root`);
  assert.deepEqual([options?.restoreSibling, options?.evasiveDevices, options?.lsmProfile], [true, true, "apparmor:x"]);
  const sources = new Map(options?.externalMounts?.map(({ key = "", value = "" }) => [key, value]));
  assert.deepEqual([sources.get("/data"), sources.get("/data/inner"), sources.get("/dev/null")], [
    ...[images, "/dev/null", "/dev/null"],
  ]);
  // The places of mounts were made, in a bind mount too, and nothing is mounted on the host.
  assert.ok((await Deno.stat(`${bundle.rootfs}/data`)).isDirectory);
  assert.ok((await Deno.stat(`${images}/inner`)).isFile);
  assert.ok(options?.cgroupRoots?.some(({ path }) => path?.endsWith(`/${id}`)));
  assert.equal(await runtime.state(id), undefined);
  assert.ok(!(await Deno.readTextFile("/proc/self/mountinfo")).includes(scratch.path));
}, { only: "barge" });
