/**
 * Commands for a container under way: pause, resume, ps, update, events, and what the runtime says of itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Cgroup } from "../../shim/oci/cgroup/cgroup.ts";
import { type Bundle, type Runtime, runtimeTest } from "../bundle.ts";
import { Running } from "../command.ts";
import type { Scratch } from "../scratch.ts";
import { patient } from "../patience.ts";

/** A container that sleeps. */
async function running(bundle: Bundle, runtime: Runtime, scratch: Scratch): Promise<string> {
  const id = scratch.id("c");
  await bundle.command("sh", "-c", "sleep 100 & exec sleep 100");
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
    ...["run", "--detach", "--bundle", bundle.path, id],
  ]);
  assert.equal(code, 0, stderr);
  return id;
}

runtimeTest("pause and resume stop and continue a container", async (bundle, runtime, scratch) => {
  const id = await running(bundle, runtime, scratch);
  await runtime.succeed(["pause", id]);
  assert.equal((await runtime.state(id))?.status, "paused");
  const twice = await runtime.execute(["pause", id]);
  assert.deepEqual([twice.code, /container not running/.test(twice.stderr)], [1, true]);
  const refused = await runtime.execute(["exec", id, "true"]);
  assert.deepEqual([refused.code, /cannot exec in a paused container/.test(refused.stderr)], [255, true]);
  await runtime.succeed(["resume", id]);
  assert.equal((await runtime.state(id))?.status, "running");
  const again = await runtime.execute(["resume", id]);
  assert.deepEqual([again.code, /container not paused/.test(again.stderr)], [1, true]);
  await runtime.succeed(["pause", id]);
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("ps lists the container's processes as a table and as JSON", async (bundle, runtime, scratch) => {
  const id = await running(bundle, runtime, scratch);
  const pid = (await runtime.state(id))?.pid;
  let pids: number[] = [];
  for (let tries = 0; pids.length !== 2 && tries < patient(50); tries++) {
    pids = JSON.parse(await runtime.succeed(["ps", "--format", "json", id]));
  }
  assert.equal(pids.length, 2);
  assert.ok(pids.includes(pid!));
  const [header = "", ...lines] = (await runtime.succeed(["ps", id])).trim().split("\n");
  assert.match(header, /^UID +PID +PPID/);
  assert.deepEqual(lines.map((line) => Number(line.split(/\s+/)[1])).sort(), pids.toSorted());
  const own = await runtime.succeed(["ps", id, "-o", "pid,comm"]);
  assert.match(own, /^ *PID COMMAND\n( *\d+ sleep\n){2}$/);
  await runtime.succeed(["kill", id, "KILL"]);
  await runtime.reaches(id, "stopped");
  assert.equal(await runtime.succeed(["ps", "-f", "json", id]), "null\n");
  await runtime.succeed(["delete", id]);
}, { programs: ["ps"] });

runtimeTest("update changes limits by flags, a file and standard input", async (bundle, runtime, scratch) => {
  const pure = (() => {
    try {
      return Deno.statSync("/sys/fs/cgroup/cgroup.controllers").isFile;
    } catch {
      return false;
    }
  })();
  await bundle.edit((spec) =>
    spec.linux.resources = { ...spec.linux.resources, cpu: { quota: 40_000, period: 80_000 }, pids: { limit: 30 } }
  );
  const id = await running(bundle, runtime, scratch);
  const read = (one: string, two: string) =>
    Deno.readTextFileSync(`/sys/fs/cgroup/${pure ? `${id}/${two}` : `${one.split(".")[0]}/${id}/${one}`}`).trim();
  const bandwidth = () =>
    pure ? read("", "cpu.max") : `${read("cpu.cfs_quota_us", "")} ${read("cpu.cfs_period_us", "")}`;
  await runtime.succeed(["update", "--memory", "64M", "--pids-limit", "20", "--cpu-quota", "20000", id]);
  assert.equal(read("memory.limit_in_bytes", "memory.max"), String(64 << 20));
  assert.equal(read("pids.max", "pids.max"), "20");
  assert.equal(bandwidth(), "20000 80000", "the period that was not named stays");
  await runtime.succeed(["update", "--resources", "-", id], {
    stdin:
      '{"memory":{"limit":0,"reservation":33554432},"cpu":{"shares":0,"quota":0,"period":0},"blockIO":{"weight":0}}',
  });
  assert.equal(read("memory.soft_limit_in_bytes", "memory.low"), "33554432");
  assert.equal(read("memory.limit_in_bytes", "memory.max"), String(64 << 20), "zero leaves it alone");
  assert.equal(bandwidth(), "20000 80000");
  await Deno.writeTextFile(`${scratch.path}/resources`, '{"cpu":{"cpus":"0"}}');
  await runtime.succeed(["update", "-r", `${scratch.path}/resources`, id]);
  assert.equal(read("cpuset.cpus", "cpuset.cpus"), "0");
  const refused = await runtime.execute(["update", "--pids-limit", "10", "--cpu-period", "5", id]);
  assert.equal(refused.code, 1);
  assert.equal(bandwidth(), "20000 80000");
  const invalid = await runtime.execute(["update", "--memory", "abc", id]);
  assert.deepEqual([invalid.code, /invalid size: 'abc'/.test(invalid.stderr)], [1, true]);
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("events --stats prints one line, and events until the end", async (bundle, runtime, scratch) => {
  const id = await running(bundle, runtime, scratch);
  const line = await runtime.succeed(["events", "--stats", id]);
  assert.equal(line.split("\n").length, 2);
  const { type, id: named, data } = JSON.parse(line);
  assert.deepEqual([type, named], ["stats", id]);
  assert.ok(data.cpu.usage.total > 0 && data.memory.usage.usage > 0 && data.pids.current >= 1);
  assert.deepEqual(Object.keys(data).sort(), [
    ...["blkio", "cpu", "cpuset", "hugetlb", "intel_rdt", "memory", "network_interfaces", "pids"],
  ]);
  await using stream = new Running(runtime.command("events", "--interval", "200ms", id));
  await stream.says('"type":"stats"');
  await runtime.succeed(["kill", id, "KILL"]);
  await runtime.reaches(id, "stopped");
  // runc looks for the end of the cgroup, which is there until the container is deleted.
  await runtime.succeed(["delete", id]);
  assert.equal((await stream.finished).code, 0);
});

runtimeTest("events tells of memory that ran out", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  await bundle.edit((spec) => {
    spec.linux.resources = { ...spec.linux.resources, memory: { limit: 32 << 20, swap: 32 << 20 } };
    spec.process.args = [
      "sh",
      "-c",
      "while ! test -e /tmp/go; do sleep 0.05; done; " +
      "dd if=/dev/zero of=/dev/null bs=100M count=1; sleep 100",
    ];
  });
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  await using stream = new Running(runtime.command("events", "--interval", "300ms", id));
  await stream.says('"type":"stats"');
  await Deno.writeTextFile(`${bundle.rootfs}/tmp/go`, "");
  await stream.says(`{"type":"oom","id":"${id}"`);
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("features names what there is", async (_bundle, runtime) => {
  const features = JSON.parse(await runtime.succeed(["features"]));
  assert.equal(features.ociVersionMin, "1.0.0");
  assert.deepEqual(features.hooks, [
    ...["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
  ]);
  for (const option of ["bind", "rbind", "ro", "rro", "rshared", "nosuid"]) {
    assert.ok(features.mountOptions.includes(option), option);
  }
  for (const type of ["pid", "network", "mount", "ipc", "uts", "cgroup"]) {
    assert.ok(features.linux.namespaces.includes(type), type);
  }
  assert.equal(features.linux.capabilities[0], "CAP_CHOWN");
  assert.equal(features.linux.seccomp.enabled, true);
});

runtimeTest("spec --rootless writes a spec for the caller alone", async (_bundle, runtime, scratch) => {
  await Deno.mkdir(`${scratch.path}/rootless`);
  await runtime.succeed(["spec", "--rootless", "--bundle", `${scratch.path}/rootless`]);
  const spec = JSON.parse(await Deno.readTextFile(`${scratch.path}/rootless/config.json`));
  assert.deepEqual(spec.linux.uidMappings, [{ containerID: 0, hostID: 0, size: 1 }]);
  const types = spec.linux.namespaces.map(({ type }: { type: string }) => type);
  assert.deepEqual(types.filter((type: string) => type !== "cgroup"), ["pid", "ipc", "uts", "mount", "user"]);
  assert.equal(spec.linux.resources, undefined);
  // Mounts are objects of the specification.
  const mounts = spec.mounts as { destination: string; type: string; options?: string[] }[];
  assert.equal(mounts.find(({ destination }) => destination === "/sys")?.type, "none");
  assert.ok(!mounts.some(({ options }) => options?.some((option) => option.startsWith("gid="))));
});

const receiver = `
import socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(sys.argv[1])
server.listen(2)
print('ready', flush=True)
for _ in range(2):
    connection, _ = server.accept()
    text, fds, _, _ = socket.recv_fds(connection, 4096, 1)
    info = open('/proc/self/fdinfo/%d' % fds[0]).read()
    print(text.decode(), [l.split()[1] for l in info.splitlines() if l.startswith('Pid:')][0], flush=True)
`;

runtimeTest("create and exec send a pidfd where one is asked for", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  const path = `${scratch.path}/pidfd`;
  await using listener = new Running(["python3", "-c", receiver, path]);
  await listener.says("ready");
  await bundle.command("sleep", "100");
  await runtime.detached(`${scratch.path}/out`, ["create", "--pidfd-socket", path, "--bundle", bundle.path, id]);
  await runtime.succeed(["exec", "--pidfd-socket", path, id, "true"]);
  const { stdout } = await listener.finished;
  assert.match(stdout, new RegExp(`^ready\nstandard ${(await runtime.state(id))?.pid}\nsetns -?\\d+\n$`));
  await runtime.succeed(["delete", "--force", id]);
}, { only: "barge", programs: ["python3"] });

// As runc since 1.4, where 0 is a limit: of the one process that is there. 1.1.5 passes over it.
runtimeTest("update sets back what was in force, zeros included", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  await bundle.command("sleep", "100");
  await bundle.edit((spec) => spec.linux.resources = { pids: { limit: 9 }, cpu: { shares: 512 } });
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  const state = JSON.parse(await Deno.readTextFile(`${runtime.stateRoot}/${id}/state.json`));
  const cgroup = Cgroup.fromRecord(state.cgroup);
  const read = (controller: string, file: string) => {
    const place = cgroup.places.find(({ version, controllers }) => version === 2 || controllers.includes(controller))!;
    return Deno.readTextFileSync(`${place.path}/${file}`).trim();
  };
  await runtime.succeed(["update", "--pids-limit", "0", id]);
  assert.equal(read("pids", "pids.max"), "1");
  await runtime.succeed(["update", "--cpu-idle", "1", id]);
  await runtime.succeed(["update", "--cpu-idle", "0", "--cpu-quota=", "--memory=", id]);
  const refused = await runtime.execute(["update", "--cpu-period", "5", id]);
  assert.equal(refused.code, 1);
  assert(!refused.stderr.includes("Setting back"), refused.stderr);
  assert.deepEqual([read("cpu", "cpu.idle"), read("pids", "pids.max")], ["0", "1"]);
  await runtime.succeed(["delete", "--force", id]);
}, { only: "barge" });
