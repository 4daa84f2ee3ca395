/**
 * Properties of the specification on the kernel: user and time namespaces, propagation, mapped ids, memory file systems
 * that begin with a copy, scheduling.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Bundle, type FullSpec, runtimeTest } from "../bundle.ts";
import { succeed } from "../command.ts";
import { patient } from "../patience.ts";

const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

const numa = (() => {
  try {
    return Deno.statSync("/proc/self/numa_maps").isFile;
  } catch {
    return false;
  }
})();

/** Gives the container a user namespace, and its root the root file system. */
async function withUserNamespace(bundle: Bundle): Promise<void> {
  await bundle.edit((spec) => {
    spec.linux.namespaces = [...spec.linux.namespaces ?? [], { type: "user" }];
    spec.linux.uidMappings = map;
    spec.linux.gidMappings = map;
  });
  await succeed(["chown", "-hR", "100000:100000", bundle.rootfs]);
}

runtimeTest("a user namespace maps the container's ids", async (bundle, _runtime, scratch) => {
  await withUserNamespace(bundle);
  await Deno.mkdir(`${scratch.path}/closed`, { mode: 0o700 });
  await Deno.writeTextFile(`${scratch.path}/closed/file`, "bound\n");
  await bundle.edit((spec) => {
    spec.mounts.push({
      destination: "/bound",
      type: "bind",
      source: `${scratch.path}/closed/file`,
      options: ["bind", "ro"],
    });
    spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }];
    spec.hostname = "inner";
  });
  const { code, stdout, stderr } = await bundle.run(
    "tr -s ' ' < /proc/self/uid_map; id -u; touch /made; stat -c %u /made; cat /bound; hostname; echo x > /dev/null; " +
      "ls -l /dev/null | cut -c1; ulimit -Hn; readlink /proc/self/ns/user; echo $$; ls /sys/fs/cgroup > /tmp/list",
  );
  assert.equal(code, 0, stderr);
  const [uids, ...lines] = stdout.trim().split("\n");
  assert.equal(uids?.trim(), "0 100000 65536");
  const namespace = lines.splice(6, 1)[0];
  assert.deepEqual(lines, ["0", "0", "bound", "inner", "c", "200", "1"]);
  assert.notEqual(namespace, Deno.readLinkSync("/proc/self/ns/user"));
  assert.equal((await Deno.stat(`${bundle.rootfs}/made`)).uid, 100_000);
});

runtimeTest("exec enters a container with a user namespace, also with a terminal", async (bundle, runtime, scratch) => {
  await withUserNamespace(bundle);
  await bundle.command("sleep", "100");
  const id = scratch.id("c");
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
    ...["run", "--detach", "--bundle", bundle.path, id],
  ]);
  assert.equal(code, 0, stderr);
  const seen = await runtime.succeed(["exec", id, "sh", "-c", "id -u; tr -s ' ' < /proc/self/uid_map; touch /exec"]);
  assert.equal(seen.replaceAll(" ", ""), "0\n010000065536\n");
  assert.equal((await Deno.stat(`${bundle.rootfs}/exec`)).uid, 100_000);
  const user = await runtime.succeed(["exec", "--user", "5:6", id, "sh", "-c", "id -u; id -g"]);
  assert.equal(user, "5\n6\n");
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("create refuses a user namespace whose maps the kernel does not take", async (bundle, runtime, scratch) => {
  await withUserNamespace(bundle);
  await bundle.edit((spec) => spec.linux.uidMappings = [...map, ...map]);
  const { code } = await runtime.detached(`${scratch.path}/out`, [
    ...["create", "--bundle", bundle.path, scratch.id("c")],
  ]);
  assert.equal(code, 1);
  assert.equal(await runtime.state(scratch.id("c")), undefined);
});

runtimeTest("a time namespace has clocks of its own, for exec too", async (bundle, runtime, scratch) => {
  await bundle.edit((spec) => {
    spec.linux.namespaces = [...spec.linux.namespaces ?? [], { type: "time" }];
    spec.linux.timeOffsets = { monotonic: { secs: 1000, nanosecs: 5 }, boottime: { secs: 7_000_000 } };
    spec.process.args = ["sh", "-c", "cut -d. -f1 /proc/uptime; exec sleep 100"];
  });
  const id = scratch.id("c");
  const host = Number((await Deno.readTextFile("/proc/uptime")).split(".")[0]);
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  const isAhead = (uptime: string) => Math.abs(Number(uptime) - host - 7_000_000) < 60;
  await runtime.reaches(id, "running");
  for (let tries = 0; (await Deno.readTextFile(`${scratch.path}/out`)) === "" && tries < patient(50); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(isAhead(await Deno.readTextFile(`${scratch.path}/out`)));
  assert.ok(isAhead(await runtime.succeed(["exec", id, "cut", "-d.", "-f1", "/proc/uptime"])));
  await runtime.succeed(["delete", "--force", id]);
}, { only: "barge" });

runtimeTest(
  "a bind mount that is shared passes mounts on to the host, and nothing else does",
  async (bundle, _r, scratch) => {
    const shared = `${scratch.path}/shared`;
    await Deno.mkdir(shared);
    await succeed(["mount", "--bind", shared, shared]);
    await succeed(["mount", "--make-shared", shared]);
    try {
      await bundle.edit((spec) => {
        spec.linux.rootfsPropagation = "rshared";
        spec.mounts.push({ destination: "/shared", type: "bind", source: shared, options: ["rbind", "rshared"] });
        const sets = spec.process.capabilities!;
        for (const set of ["bounding", "effective", "permitted"] as const) sets[set]?.push("CAP_SYS_ADMIN");
      });
      const { code, stderr } = await bundle.run(
        "mkdir /shared/sub /own && mount -t tmpfs tmpfs /shared/sub && mount -t tmpfs tmpfs /own && touch /shared/sub/seen",
      );
      assert.equal(code, 0, stderr);
      await Deno.stat(`${shared}/sub/seen`);
      assert.deepEqual(scratch.mounts().toSorted(), [shared, `${shared}/sub`]);
    } finally {
      await succeed(["umount", "-R", shared]);
    }
  },
);

runtimeTest("rootfsPropagation must be one of four", async (bundle) => {
  await bundle.edit((spec) => spec.linux.rootfsPropagation = "foo");
  const { code, stderr } = await bundle.run("true");
  assert.deepEqual([code, /rootfsPropagation=foo is not supported/.test(stderr)], [1, true]);
});

runtimeTest("tmpcopyup fills a memory file system with what it covers", async (bundle) => {
  await Deno.mkdir(`${bundle.rootfs}/data/sub`, { recursive: true, mode: 0o750 });
  await Deno.writeTextFile(`${bundle.rootfs}/data/file`, "content\n", { mode: 0o664 });
  await Deno.chown(`${bundle.rootfs}/data/file`, 7, 8);
  await Deno.writeTextFile(`${bundle.rootfs}/data/sub/deep`, "deep\n");
  await Deno.symlink("/etc/shadow", `${bundle.rootfs}/data/link`);
  await bundle.edit((spec) =>
    spec.mounts.push({ destination: "/data", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "mode=1777"] })
  );
  const { code, stdout, stderr } = await bundle.run(
    "cat /data/file /data/sub/deep; stat -c '%a %u %g' /data/file; readlink /data/link; touch /data/new; " +
      "stat -f -c %T /data",
  );
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "content\ndeep\n664 7 8\n/etc/shadow\ntmpfs\n");
  await assert.rejects(Deno.stat(`${bundle.rootfs}/data/new`));
});

runtimeTest("a bind mount with ids mapped shows others' files as the container's own", async (bundle, _r, scratch) => {
  const source = `${scratch.path}/source`;
  await Deno.mkdir(source);
  await Deno.writeTextFile(`${source}/file`, "");
  await bundle.edit((spec) =>
    spec.mounts.push({
      destination: "/mapped",
      type: "bind",
      source,
      options: ["bind"],
      uidMappings: [{ containerID: 0, hostID: 1234, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 5678, size: 1 }],
    })
  );
  const { code, stdout, stderr } = await bundle.run("stat -c '%u %g' /mapped/file");
  assert.deepEqual([code, stdout], [0, "1234 5678\n"], stderr);
}, { only: "barge" });

runtimeTest("the first process and exec are scheduled as the spec says", async (bundle, runtime, scratch) => {
  await bundle.edit((spec) => {
    spec.process.scheduler = { policy: "SCHED_BATCH", nice: 5 };
    spec.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 };
    spec.process.execCPUAffinity = { initial: "0", final: "0" };
    spec.linux.personality = { domain: "LINUX32" };
    spec.process.args = ["sleep", "100"];
  });
  const id = scratch.id("c");
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  const pid = (await runtime.state(id))?.pid;
  // Fields 19 and 41 of proc_pid_stat(5): nice value and policy.
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).split(") ")[1]!.split(" ");
  assert.deepEqual([fields[16], fields[38]], ["5", "3"]);
  assert.equal((await Deno.readTextFile(`/proc/${pid}/personality`)).trim(), "00000008");
  const seen = await runtime.succeed(["exec", id, "sh", "-c", "grep Cpus_allowed_list /proc/self/status; ionice -p 1"]);
  assert.match(seen, /^Cpus_allowed_list:\t0\nbest-effort: prio 6\n$/);
  await runtime.succeed(["delete", "--force", id]);
}, { only: "barge" });

runtimeTest("memory is taken from the nodes that the spec names", async (bundle) => {
  await bundle.edit((spec) =>
    spec.linux.memoryPolicy = { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] }
  );
  const { code, stdout, stderr } = await bundle.run("grep -c bind /proc/self/numa_maps");
  // Kernels without NUMA have neither the file nor the call.
  if (!numa) assert.match(stderr, /set the memory policy MPOL_BIND: function not implemented/i);
  else assert.deepEqual([code, Number(stdout) > 0], [0, true], stderr);
}, { only: "barge" });

runtimeTest("labels are refused where there is no such security module", async (bundle) => {
  await bundle.edit((spec) => spec.process.selinuxLabel = "a:b:c");
  const selinux = await bundle.run("true");
  assert.equal(selinux.code, 1);
  assert.match(selinux.stderr, /selinux label is specified in config, but selinux is disabled or not supported/);
  await bundle.edit((spec) => {
    delete spec.process.selinuxLabel;
    spec.linux.mountLabel = "system_u:object_r:container_file_t:s0:c1,c2";
  });
  const mounts = await bundle.run("true");
  assert.equal(mounts.code, 1);
  // runc 1.1 leaves it to the kernel.
  assert.match(mounts.stderr, /selinux is disabled or not supported|invalid argument/);
  await bundle.edit((spec) => {
    delete spec.linux.mountLabel;
    spec.process.apparmorProfile = "no-such-profile";
  });
  const apparmor = await bundle.run("true");
  assert.equal(apparmor.code, 1);
  assert.match(apparmor.stderr, /apparmor/i);
});

runtimeTest("--no-pivot gives the container its root all the same", async (bundle, runtime, scratch) => {
  await bundle.command("sh", "-c", "ls /; ls /proc/1/root/; cat /proc/mounts | grep -c ' / '");
  const { code, stdout, stderr } = await runtime.execute([
    ...["run", "--no-pivot", "--bundle", bundle.path, scratch.id("c")],
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^bin\ndev\netc\nproc\nroot\nsys\ntmp\nbin\ndev\netc/);
});

/** What Go programs leave out or write as null, which is the zero value of its type for runc. */
const zeros: [what: string, change: (spec: FullSpec) => void, prints: string, script?: string][] = [
  ["a null among annotations", (spec) => spec.annotations = { a: null as never }, ""],
  [
    "a null among arguments",
    (spec) => spec.process.args!.push("x", null as never, "y"),
    "x  y\n",
    'echo "$0" "$1" "$2"',
  ],
  ["a terminal without a size", (spec) => spec.process.consoleSize = {} as never, ""],
  ["an empty seccomp profile", (spec) => spec.linux.seccomp = {} as never, ""],
  [
    "a rule for devices without allow",
    (spec) => {
      spec.linux.resources = { devices: [{ allow: true, access: "rwm" }, { type: "a", access: "rwm" } as never] };
    },
    "refused\n",
    "mknod /x c 10 229; cat /x 2>/dev/null || echo refused",
  ],
  ["unknown hooks", (spec) => spec.hooks = { unknown: [{ path: 5 }], other: 5 } as never, ""],
  [
    "a core limit without numbers",
    (spec) => {
      spec.process.rlimits = [{ type: "RLIMIT_CORE" } as never];
    },
    "0\n",
    "ulimit -c",
  ],
];

for (const [what, change, prints, script] of zeros) {
  runtimeTest(`a spec with ${what} runs`, async (bundle, runtime, scratch) => {
    await bundle.command("sh", "-c", script ?? "true");
    await bundle.edit(change);
    const { code, stdout, stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
    assert.deepEqual([code, stdout], [0, prints], stderr);
  });
}
