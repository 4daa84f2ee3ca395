/**
 * The OCI runtime on the kernel: one bundle after another, the same tests for barge and for runc.
 *
 * @module
 */
import assert from "node:assert/strict";
import { barge, execute, Running, succeed, systemTest } from "./command.ts";
import { makeRootfs, runtimeTest } from "./bundle.ts";
import { makeScratch } from "./scratch.ts";

runtimeTest("run passes the command's output and exit code on", async (bundle) => {
  const { code, stdout, stderr } = await bundle.run("echo out; echo err >&2; exit 42");
  assert.deepEqual([code, stdout, stderr], [42, "out\n", "err\n"]);
});

runtimeTest("run passes standard input on, and its end", async (bundle) => {
  const { code, stdout } = await bundle.run("wc -c", { stdin: "x".repeat(200_000) });
  assert.deepEqual([code, stdout.trim()], [0, "200000"]);
});

runtimeTest("run gives 128+N where signal N ends the command", async (bundle, runtime, scratch) => {
  await bundle.command("sleep", "100");
  await using running = runtime.spawn(["run", "--bundle", bundle.path, scratch.id("c")]);
  await runtime.reaches(scratch.id("c"), "running");
  await runtime.succeed(["kill", scratch.id("c"), "KILL"]);
  assert.equal((await running.finished).code, 137);
});

runtimeTest("run forwards the signals it gets", async (bundle, runtime, scratch) => {
  await bundle.command("sh", "-c", "trap 'echo got; exit 7' TERM; echo ready; while :; do sleep 0.05; done");
  await using running = runtime.spawn(["run", "--bundle", bundle.path, scratch.id("c")]);
  await running.says("ready");
  running.kill("SIGTERM");
  const { code, stdout } = await running.finished;
  assert.deepEqual([code, stdout], [7, "ready\ngot\n"]);
});

runtimeTest(
  "create, start, exec, kill and delete work from one process after another",
  async (bundle, runtime, scratch) => {
    const id = scratch.id("c");
    const output = `${scratch.path}/output`;
    await bundle.command("sh", "-c", "echo started > /tmp/mark; hostname; exec sleep 100");
    const pidFile = `${scratch.path}/pid`;
    const created = await runtime.detached(output, ["create", "--bundle", bundle.path, "--pid-file", pidFile, id]);
    assert.equal(created.code, 0, created.stderr);
    const pid = Number(await Deno.readTextFile(pidFile));
    const state = await runtime.state(id);
    assert.deepEqual([state?.status, state?.pid], ["created", pid]);
    await assert.rejects(Deno.stat(`${bundle.rootfs}/tmp/mark`), "the command runs before its start");

    const again = await runtime.detached(`${scratch.path}/again`, ["create", "--bundle", bundle.path, id]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /container with given ID already exists/);

    await runtime.succeed(["start", id]);
    await runtime.reaches(id, "running");
    const twice = await runtime.execute(["start", id]);
    assert.equal(twice.code, 1);
    assert.match(twice.stderr, /cannot start an already running container/);
    assert.match((await runtime.execute(["delete", id])).stderr, /is not stopped: running/);

    const text = await runtime.succeed([
      ...["exec", "--env", "A=b c", "--cwd", "/tmp", "--user", "1000:50", id],
      ...["sh", "-c", "echo $A; pwd; id -u; id -g; cat mark; readlink /proc/1/ns/pid /proc/self/ns/pid | uniq | wc -l"],
    ]).catch((error) => error.message);
    assert.equal(text.trim().split("\n").slice(0, 5).join(" "), "b c /tmp 1000 50 started");
    assert.equal((await runtime.execute(["exec", id, "sh", "-c", "exit 9"])).code, 9);
    assert.equal((await runtime.execute(["exec", id, "cat"], { stdin: "in" })).stdout, "in");
    const absent = await runtime.execute(["exec", id, "no-such-program"]);
    assert.equal(absent.code, 255);
    assert.match(absent.stderr, /executable file not found in \$PATH/);

    await runtime.succeed(["kill", id, "SIGKILL"]);
    await runtime.reaches(id, "stopped");
    assert.equal((await runtime.state(id))?.pid, 0);
    const late = await runtime.execute(["kill", id, "TERM"]);
    assert.deepEqual([late.code, /container not running/.test(late.stderr)], [1, true]);
    await runtime.succeed(["delete", id]);
    const gone = await runtime.execute(["state", id]);
    assert.deepEqual([gone.code, /container does not exist/.test(gone.stderr)], [1, true]);
    assert.equal((await runtime.execute(["delete", "--force", id])).code, 0);
    assert.match(await Deno.readTextFile(output), /^(runc|barge)\n$/);
  },
);

runtimeTest("a created container is deleted without having run", async (bundle, runtime, scratch) => {
  await bundle.command("touch", "/tmp/ran");
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
    "create",
    "--bundle",
    bundle.path,
    scratch.id("c"),
  ]);
  assert.equal(code, 0, stderr);
  await runtime.succeed(["delete", scratch.id("c")]);
  await assert.rejects(Deno.stat(`${bundle.rootfs}/tmp/ran`));
});

runtimeTest("list shows containers as table, JSON and ids", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  await bundle.command("sleep", "100");
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  assert.equal(await runtime.succeed(["list", "-q"]), `${id}\n`);
  const [entry] = JSON.parse(await runtime.succeed(["list", "--format", "json"]));
  assert.deepEqual([entry.id, entry.status, entry.bundle, entry.owner], [id, "running", bundle.path, "root"]);
  assert.match(
    await runtime.succeed(["list"]),
    new RegExp(`^ID +PID +STATUS +BUNDLE +CREATED +OWNER\n${id} +\\d+ +running`),
  );
  await runtime.succeed(["delete", "--force", id]);
});

const receiver = `
import os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(sys.argv[1])
server.listen(1)
print('ready', flush=True)
connection, _ = server.accept()
_, fds, _, _ = socket.recv_fds(connection, 4096, 1)
os.write(fds[0], b'typed\\n')
while True:
    try: data = os.read(fds[0], 4096)
    except OSError: break
    if not data: break
    sys.stdout.write(data.decode()); sys.stdout.flush()
`;

runtimeTest("run --detach sends the terminal over the console socket", async (bundle, runtime, scratch) => {
  await using console = new Running(
    ["python3", "-c", receiver, `${scratch.path}/console`],
  );
  await console.says("ready");
  await bundle.edit((spec) => {
    spec.process.terminal = true;
    spec.process.consoleSize = { width: 97, height: 31 };
    spec.process.args = [
      "sh",
      "-c",
      "read line; echo line=$line; tty; stty size; ls -l /dev/console | cut -c1; exit 3",
    ];
  });
  const id = scratch.id("c");
  const started = await runtime.detached(`${scratch.path}/out`, [
    ...["run", "--detach", "--bundle", bundle.path, "--console-socket", `${scratch.path}/console`, id],
  ]);
  assert.equal(started.code, 0, started.stderr);
  const { stdout } = await console.finished;
  assert.match(stdout, /line=typed\r\n(\/dev\/console|\/dev\/pts\/0)\r\n31 97\r\nc\r\n$/);
  await runtime.reaches(id, "stopped");
  await runtime.succeed(["delete", id]);
}, { programs: ["python3"] });

runtimeTest("the process has the user, capabilities, limits and names that the spec gives", async (bundle) => {
  await bundle.edit((spec) => {
    spec.hostname = "somewhere";
    spec.process.cwd = "/made/for/it";
    spec.process.env = ["PATH=/bin", "ONE=1"];
    spec.process.user = { uid: 1000, gid: 50, additionalGids: [7, 8], umask: 0o27 };
    spec.process.noNewPrivileges = true;
    spec.process.oomScoreAdj = 500;
    spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 123, hard: 456 }, { type: "RLIMIT_CORE", soft: 0, hard: 0 }];
    spec.process.capabilities = {
      ...{ bounding: ["CAP_KILL", "CAP_CHOWN"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
      ...{ inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"] },
    };
  });
  const { code, stdout, stderr } = await bundle.run(
    "hostname; pwd; id -u; id -g; id -G; umask; ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; " +
      "echo $ONE$HOME; grep -E '^(Cap|NoNewPrivs)' /proc/self/status",
  );
  assert.equal(code, 0, stderr);
  const [hostname, cwd, uid, gid, groups, umask, soft, hard, core, score, home, ...status] = stdout.trim().split("\n");
  assert.deepEqual(
    [hostname, cwd, uid, gid, groups, umask, soft, hard, core, score],
    ["somewhere", "/made/for/it", "1000", "50", "50 7 8", "0027", "123", "456", "0", "500"],
  );
  assert.equal(home, "1/home/alice");
  const value = (name: string) => status.find((line) => line.startsWith(name))?.split(/\s+/)[1];
  const kill = "0000000000000020";
  assert.deepEqual(["CapInh", "CapPrm", "CapEff", "CapAmb"].map(value), [kill, kill, kill, kill]);
  assert.equal(value("CapBnd"), "0000000000000021");
  assert.equal(value("NoNewPrivs"), "1");
});

runtimeTest("namespaces are the container's own", async (bundle) => {
  const kinds = ["pid", "net", "mnt", "ipc", "uts"];
  const { stdout } = await bundle.run(
    `for n in ${kinds.join(" ")}; do readlink /proc/self/ns/$n; done; echo $$; ip link`,
  );
  const lines = stdout.split("\n");
  kinds.forEach((kind, index) => assert.notEqual(lines[index], Deno.readLinkSync(`/proc/self/ns/${kind}`), kind));
  assert.equal(lines[kinds.length], "1");
  assert.match(stdout, /lo: <LOOPBACK,UP/);
});

runtimeTest("masked and read-only paths hold", async (bundle) => {
  await bundle.edit((spec) => {
    spec.linux.maskedPaths = ["/proc/keys", "/sys/firmware", "/etc/passwd", "/no/such/path"];
    spec.linux.readonlyPaths = ["/proc/sys", "/tmp"];
  });
  const { stdout } = await bundle.run(
    "wc -c < /etc/passwd; ls -A /sys/firmware | wc -l; touch /tmp/x || echo refused; " +
      "echo 1 > /proc/sys/vm/drop_caches || echo refused; touch /root/x && echo written; " +
      "touch /sys/firmware/x || echo refused",
  );
  assert.equal(stdout.replace(/ +/g, ""), "0\n0\nrefused\nrefused\nwritten\nrefused\n");
});

runtimeTest("a read-only root refuses writes, except to its mounts", async (bundle, _runtime, scratch) => {
  await Deno.mkdir(`${scratch.path}/shared`);
  await bundle.edit((spec) => {
    spec.root.readonly = true;
    spec.mounts.push(
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "size=64k", "mode=1777"] },
      { destination: "/shared/deep", type: "bind", source: `${scratch.path}/shared`, options: ["rbind", "rw"] },
      { destination: "/fixed", type: "bind", source: `${scratch.path}/shared`, options: ["bind", "ro"] },
    );
  });
  await Deno.mkdir(`${bundle.rootfs}/shared/deep`, { recursive: true });
  await Deno.mkdir(`${bundle.rootfs}/fixed`);
  const { stdout } = await bundle.run(
    "touch /x || echo refused; touch /tmp/x && echo written; echo deep > /shared/deep/x && echo shared; " +
      "touch /fixed/y || echo refused; df -k /tmp | tail -1 | tr -s ' ' | cut -d' ' -f2; ls /dev/null /dev/tty; ls /dev/shm",
  );
  assert.equal(stdout, "refused\nwritten\nshared\nrefused\n64\n/dev/null\n/dev/tty\n");
  assert.equal(await Deno.readTextFile(`${scratch.path}/shared/x`), "deep\n");
});

runtimeTest("links in the root file system lead nowhere outside of it", async (bundle, _runtime, scratch) => {
  await Deno.mkdir(`${scratch.path}/outside`);
  await Deno.mkdir(`${scratch.path}/source`);
  // The same path inside is where the link leads to.
  await Deno.mkdir(`${bundle.rootfs}${scratch.path}/outside`, { recursive: true });
  await Deno.symlink(`../../../../../../../../../..${scratch.path}/outside`, `${bundle.rootfs}/way-out`);
  await bundle.edit((spec) =>
    spec.mounts.push({
      destination: "/way-out/inner",
      type: "bind",
      source: `${scratch.path}/source`,
      options: ["bind"],
    })
  );
  const { code, stderr } = await bundle.run(`touch ${scratch.path}/outside/inner/mark`);
  assert.equal(code, 0, stderr);
  assert.deepEqual([...Deno.readDirSync(`${scratch.path}/outside`)], []);
  await Deno.stat(`${scratch.path}/source/mark`);
});

runtimeTest("limits stand in the cgroup's files", async (bundle, runtime, scratch) => {
  await bundle.edit((spec) => {
    spec.process.args = ["sleep", "100"];
    spec.linux.resources = {
      ...spec.linux.resources,
      memory: { limit: 64 << 20 },
      cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0" },
      pids: { limit: 17 },
    };
  });
  const id = scratch.id("c");
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  const read = (path: string) => Deno.readTextFileSync(`/sys/fs/cgroup/${path}`).trim();
  const pure = await exists("/sys/fs/cgroup/cgroup.controllers");
  const values = pure
    ? [read(`${id}/memory.max`), read(`${id}/cpu.max`), read(`${id}/pids.max`), read(`${id}/cpuset.cpus`)]
    : [
      read(`memory/${id}/memory.limit_in_bytes`),
      `${read(`cpu/${id}/cpu.cfs_quota_us`)} ${read(`cpu/${id}/cpu.cfs_period_us`)}`,
      read(`pids/${id}/pids.max`),
      read(`cpuset/${id}/cpuset.cpus`),
    ];
  assert.deepEqual(values, [String(64 << 20), "50000 100000", "17", "0"]);
  if (!pure) assert.equal(read(`cpu/${id}/cpu.shares`), "512");
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("a command that takes too much memory is killed", async (bundle) => {
  await bundle.edit((spec) => spec.linux.resources = { ...spec.linux.resources, memory: { limit: 32 << 20 } });
  const { code } = await bundle.run("exec dd if=/dev/zero of=/dev/null bs=100M count=1");
  assert.equal(code, 137);
});

runtimeTest("devices that the rules do not allow cannot be used", async (bundle) => {
  const { stdout } = await bundle.run(
    "mknod /disk b 7 0; dd if=/disk of=/dev/null count=1 2>&1; head -c1 /dev/zero | wc -c",
  );
  assert.match(stdout, /(not permitted|denied|No such file)[^]*\n1\n$/i);
});

runtimeTest("a seccomp profile answers with its errors", async (bundle) => {
  await bundle.edit((spec) =>
    spec.linux.seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
      syscalls: [
        { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 },
        { names: ["sethostname"], action: "SCMP_ACT_KILL_PROCESS" },
      ],
    }
  );
  const { stdout, stderr } = await bundle.run("grep Seccomp: /proc/self/status; mkdir /new; hostname x; echo $?");
  assert.equal(stdout.replaceAll("\t", " "), "Seccomp: 2\n159\n");
  assert.match(stderr, /No space left on device/);
});

runtimeTest("a joined network namespace is the one that the path names", async (bundle, runtime, scratch) => {
  await using holder = new Running(["unshare", "-n", "sh", "-c", "echo ready; exec sleep 100"]);
  await holder.says("ready");
  const path = `/proc/${holder.child.pid}/ns/net`;
  await bundle.edit((spec) => {
    spec.linux.namespaces = (spec.linux.namespaces ?? []).map((one) => one.type === "network" ? { ...one, path } : one);
  });
  const { stdout, stderr } = await bundle.run("readlink /proc/self/ns/net");
  assert.equal(stdout.trim(), Deno.readLinkSync(path), stderr);
  assert.equal(await runtime.state(scratch.id("c")), undefined);
}, { programs: ["unshare"] });

systemTest("barge oci plan prints a start without any right", ["busybox", "setpriv", "cp"], async () => {
  await using scratch = await makeScratch();
  const home = `${scratch.path}/home`;
  await Deno.mkdir(home);
  await makeRootfs(`${home}/bundle/rootfs`);
  await succeed([...barge, "oci", "spec", "--bundle", `${home}/bundle`]);
  await succeed(["chown", "-R", "65534:65534", home]);
  const { code, stdout, stderr } = await execute(
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
      .concat(barge, "oci", "plan", `${home}/bundle`),
    { env: { HOME: home }, cwd: home },
  );
  assert.equal(code, 0, stderr);
  const calls = ["clone3", "close_range", "mount", "pivot_root", "execve"];
  let from = 0;
  for (const call of calls) {
    const found = stdout.indexOf(`${call}(`, from);
    if (call !== "mount") assert(found >= 0, `${call} is not in the plan after the calls before it:\n${stdout}`);
    from = Math.max(from, found);
  }
  assert.match(stdout, /CLONE_NEWPID/);
  assert.match(stdout, /"\/proc"|proc/);
});

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
