/**
 * The flags of `barge run`, one by one, by what the program sees.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execute, Running } from "./command.ts";
import { type BargeRun, runTest } from "./images.ts";
import type { Scratch } from "./scratch.ts";

const writeGenerated =
  "for name in hosts hostname resolv.conf; do (echo >> /etc/$name) 2>/dev/null || echo refused; done";

/** Flags, what the program runs, and what it must print. */
const observed: [flags: string[], script: string, prints: RegExp | string][] = [
  [["-e", "A=1 2", "-e", "FROM_IMAGE=no"], "echo $A $FROM_IMAGE", "1 2 no\n"],
  [["-e", "PASSED_ON", "-e", "NOT_THERE"], "echo $PASSED_ON${NOT_THERE-unset}", "hereunset\n"],
  [["-w", "/tmp/new/dir"], "pwd", "/tmp/new/dir\n"],
  [["-u", "alice"], "id -u; id -g; id -G; echo $HOME", "1000\n1000\n1000 50\n/home/alice\n"],
  [["-u", "1:50"], "id -u; id -g; grep CapEff /proc/self/status | tr -d '\\t'", "1\n50\nCapEff:0000000000000000\n"],
  [["--hostname", "named"], "hostname; cat /etc/hostname; grep -c named /etc/hosts", "named\nnamed\n1\n"],
  [["--network", "none"], "ls /sys/class/net; ip addr show lo | grep -c UP", "lo\n1\n"],
  [["--read-only"], "touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo shm", "refused\nshm\n"],
  [["--read-only"], writeGenerated, "refused\nrefused\nrefused\n"],
  [[], writeGenerated, ""],
  [["--read-only", "--tmpfs", "/tmp:size=128k"], "touch /tmp/x && df -k /tmp | awk 'END{print $2}'", "128\n"],
  [["--shm-size", "256k"], "df -k /dev/shm | awk 'END{print $2}'", "256\n"],
  [["--ulimit", "nofile=77:99"], "ulimit -n; ulimit -Hn", "77\n99\n"],
  [["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward", "1\n"],
  [["--sysctl", "kernel.msgmax=12345"], "cat /proc/sys/kernel/msgmax", "12345\n"],
  [["--cap-drop", "ALL"], "grep CapBnd /proc/self/status | tr -d '\\t'", "CapBnd:0000000000000000\n"],
  [
    ["--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--cap-add", "cap_chown"],
    "grep CapEff /proc/self/status | tr -d '\\t'",
    "CapEff:0000000000001001\n",
  ],
  [["--cap-drop", "CHOWN"], "chown 1 /etc/passwd 2>/dev/null || echo refused", "refused\n"],
  [["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status | tr -d '\\t'", "NoNewPrivs:1\n"],
  [[], "grep -e NoNewPrivs -e Seccomp: /proc/self/status | tr -d '\\t'", "NoNewPrivs:0\nSeccomp:2\n"],
  [["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status | tr -d '\\t'", "Seccomp:0\n"],
  [["--entrypoint", "echo"], "one", "-c one\n"],
  [["--platform", `linux/${Deno.build.arch === "x86_64" ? "amd64" : "arm64"}`], "echo here", "here\n"],
  [["--snapshotter", "native"], "touch /x && echo native", "native\n"],
  [["--cpuset-cpus", "0"], "grep Cpus_allowed_list /proc/self/status | tr -d '\\t'", "Cpus_allowed_list:0\n"],
];

for (const [flags, script, prints] of observed) {
  const name = flags.length === 0 ? "without flags has the defaults" : `${flags.join(" ")} is seen inside`;
  runTest(`barge run ${name}`, [], async (run, image) => {
    const words = flags.includes("--entrypoint") ? ["-c", script] : ["sh", "-c", script];
    const { code, stdout, stderr } = await run.execute(["--quiet", ...flags, image, ...words], {
      env: { PASSED_ON: "here" },
    });
    assert.equal(code, 0, stderr);
    if (typeof prints === "string") assert.equal(stdout, prints);
    else assert.match(stdout, prints);
  });
}

runTest("barge run --env-file sets a file's variables, and -e wins over it", [], async (run, image, scratch) => {
  await Deno.writeTextFile(`${scratch.path}/env`, "# comment\nA=from file\nB=x=y\n\nPASSED_ON\n");
  const text = await run.succeed(
    ["--quiet", "--env-file", `${scratch.path}/env`, "-e", "A=flag", image, "sh", "-c", "echo $A $B $PASSED_ON"],
    { env: { PASSED_ON: "here" } },
  );
  assert.equal(text, "flag x=y here\n");
});

runTest(
  "barge run -v shares directories and files, makes missing ones, and :ro holds",
  [],
  async (run, image, scratch) => {
    await Deno.mkdir(`${scratch.path}/data`);
    await Deno.writeTextFile(`${scratch.path}/file`, "file\n");
    const text = await run.succeed([
      ...["--quiet", "-v", `${scratch.path}/data:/data`, "-v", `${scratch.path}/file:/etc/file:ro`],
      ...["-v", `${scratch.path}/missing/dir:/missing`, image],
      ...["sh", "-c", "echo in > /data/made; cat /etc/file; echo x > /etc/file || echo refused; touch /missing/x"],
    ]);
    assert.equal(text, "file\nrefused\n");
    assert.equal(await Deno.readTextFile(`${scratch.path}/data/made`), "in\n");
    await Deno.stat(`${scratch.path}/missing/dir/x`);
  },
);

runTest("barge run -v takes paths relative to our directory", [], async (run, image, scratch) => {
  await Deno.mkdir(`${scratch.path}/here`);
  await run.succeed(["--quiet", "-v", "./here:/data", image, "touch", "/data/x"], { cwd: scratch.path });
  await Deno.stat(`${scratch.path}/here/x`);
});

runTest("barge run --mount binds and makes memory file systems", [], async (run, image, scratch) => {
  await Deno.mkdir(`${scratch.path}/data`);
  const text = await run.succeed([
    ...["--quiet", "--mount", `type=bind,source=${scratch.path}/data,target=/data,readonly`],
    ...["--mount", "type=tmpfs,target=/memory,tmpfs-size=65536", image],
    ...["sh", "-c", "touch /data/x || echo refused; df -k /memory | awk 'END{print $2}'"],
  ]);
  assert.equal(text, "refused\n64\n");
  const missing = await run.execute([
    ...["--quiet", "--mount", `type=bind,source=${scratch.path}/no,target=/data`, image, "true"],
  ]);
  assert.equal(missing.code, 125);
  assert.match(missing.stderr, new RegExp(`${scratch.path}/no`));
});

/** Reads files of the container's cgroup while its program runs. */
async function cgroupFiles(run: BargeRun, scratch: Scratch, image: string, flags: string[], files: string[]) {
  await using running: Running = run.spawn(["--quiet", ...flags, image, "sh", "-c", "echo ready; exec sleep 100"]);
  await running.says("ready");
  const directories = scratch.cgroups();
  const values = files.map((file) => {
    const directory = directories.find((path) => {
      try {
        return Deno.statSync(`${path}/${file}`).isFile;
      } catch {
        return false;
      }
    });
    return directory === undefined ? `no ${file}` : Deno.readTextFileSync(`${directory}/${file}`).trim();
  });
  for (const pid of scratch.processes()) if (pid !== running.child.pid) Deno.kill(pid, "SIGKILL");
  assert.equal((await running.finished).code, 137);
  return values;
}

runTest("barge run's limits stand in the cgroup", [], async (run, image, scratch) => {
  const pure = await Deno.stat("/sys/fs/cgroup/cgroup.controllers").then(() => true, () => false);
  const flags = ["--memory", "64m", "--cpus", "0.5", "--cpu-shares", "512", "--pids-limit", "33"];
  const files = pure
    ? ["memory.max", "cpu.max", "pids.max"]
    : ["memory.limit_in_bytes", "cpu.cfs_quota_us", "pids.max", "cpu.shares"];
  const expected = pure ? [`${64 << 20}`, "50000 100000", "33"] : [`${64 << 20}`, "50000", "33", "512"];
  assert.deepEqual(await cgroupFiles(run, scratch, image, flags, files), expected);
});

runTest("barge run --memory ends a program that takes more", [], async (run, image) => {
  const script = "dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; echo $?";
  const { stdout } = await run.execute(["--quiet", "--memory", "16m", image, "sh", "-c", script]);
  assert.equal(stdout, "137\n");
});

runTest("barge run --pids-limit stops forks", [], async (run, image) => {
  const { stdout, stderr } = await run.execute([
    ...["--quiet", "--pids-limit", "5", image],
    ...["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; echo end"],
  ]);
  assert(!stdout.includes("end") || /fork/.test(stderr), stderr);
});

runTest("barge run --network host shares our network", [], async (run, image) => {
  const text = await run.succeed(["--quiet", "--network", "host", image, "readlink", "/proc/self/ns/net"]);
  assert.equal(text.trim(), Deno.readLinkSync("/proc/self/ns/net"));
});

runTest("barge run --privileged gives all of our capabilities, devices and /proc/sys", [], async (run, image) => {
  const text = await run.succeed([
    ...["--quiet", "--privileged", image],
    ...[
      "sh",
      "-c",
      "grep -e CapEff -e Seccomp: /proc/self/status; ls /dev | wc -l; test -w /proc/sys/vm/swappiness && echo w",
    ],
  ]);
  const own = /^CapBnd:\s*(\S+)$/m.exec(await Deno.readTextFile("/proc/self/status"))?.[1];
  assert.match(text, new RegExp(`CapEff:\\s*${own}\nSeccomp:\\s*0\n`));
  assert.match(text, /\nw\n$/);
});

runTest("barge run --security-opt seccomp=FILE loads the profile", [], async (run, image, scratch) => {
  await Deno.writeTextFile(
    `${scratch.path}/profile.json`,
    JSON.stringify({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
    }),
  );
  const { stdout, stderr } = await run.execute([
    ...["--quiet", "--security-opt", `seccomp=${scratch.path}/profile.json`, image],
    ...["sh", "-c", "mkdir /x || echo refused"],
  ]);
  assert.equal(stdout, "refused\n");
  assert.match(stderr, /No space left/);
});

runTest("the default seccomp profile refuses user namespaces, which need no capability", [], async (run, image) => {
  const script = ["sh", "-c", "unshare -U true && echo made || echo refused"];
  assert.equal(await run.succeed(["--quiet", image, ...script]), "refused\n");
  const open = await run.succeed(["--quiet", "--security-opt", "seccomp=unconfined", image, ...script]);
  assert.equal(open, "made\n");
});

runTest("barge run --pull never does not fetch", [], async (run) => {
  const { code, stderr } = await run.execute(["--pull", "never", "127.0.0.1:1/no/such:image", "true"]);
  assert.equal(code, 125);
  assert.match(stderr, /127\.0\.0\.1:1\/no\/such:image.*not here/);
});

runTest("barge run --help lists every flag on standard output", [], async (run) => {
  const { code, stdout } = await execute([...run.command("c").slice(0, -6), "--help"]);
  assert.equal(code, 0);
  for (const flag of ["--env-file", "--pids-limit", "--security-opt", "--snapshotter"]) assert(stdout.includes(flag));
});
