/**
 * What the processes of a container may do, and what they see: capabilities, groups, keys, cgroups, devices, users,
 * environment. CVE-2016-3697, CVE-2022-24769, CVE-2022-29162, CVE-2023-25809. In each test something is also allowed on
 * purpose, so that it would be seen.
 */
import assert from "node:assert/strict";
import { runtimeTest } from "../bundle.ts";
import { execute } from "../command.ts";

/** Prints sets of capabilities, and no_new_privs. */
const showRights = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status | tr -d '\\t '";

runtimeTest("gives a container the capabilities of its spec, and none to inherit", async (bundle) => {
  await bundle.edit((spec) => {
    const names = ["CAP_CHOWN", "CAP_KILL"];
    spec.process.capabilities = { bounding: names, effective: names, permitted: names };
    spec.process.noNewPrivileges = true;
  });
  const rights = (bits: string) => ["CapInh:0", `CapPrm:${bits}`, `CapEff:${bits}`, `CapBnd:${bits}`, "CapAmb:0"];
  const short = (text: string) => text.trim().split("\n").map((line) => line.replace(/:0*(?=.)/, ":"));
  assert.deepEqual(short((await bundle.run(showRights)).stdout), [...rights("21"), "NoNewPrivs:1"]);
  await bundle.edit((spec) => {
    spec.process.capabilities = {};
    spec.process.noNewPrivileges = false;
  });
  assert.deepEqual(short((await bundle.run(showRights)).stdout), [...rights("0"), "NoNewPrivs:0"]);
});

runtimeTest("gives an exec's added capability to no set but what it needs", async (bundle, runtime, scratch) => {
  const id = scratch.id("c");
  await bundle.command("sleep", "100");
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
    ...["run", "--detach", "--bundle", bundle.path, id],
  ]);
  assert.equal(code, 0, stderr);
  const inherited = async (...args: string[]) =>
    (await runtime.execute(["exec", ...args, id, "sh", "-c", showRights])).stdout;
  const raw = await inherited("--cap", "CAP_NET_RAW");
  assert.match(raw, /CapEff:[0-9a-f]*2[0-9a-f]{3}\n/);
  assert.match(raw, /CapInh:0+\n/);
  assert.match(raw, /CapAmb:0+\n/);
  // A user whose name is a number is that number, whatever the image's passwd says (CVE-2016-3697).
  await Deno.writeTextFile(`${bundle.rootfs}/etc/passwd`, "1000:x:0:0:root:/root:/bin/sh\n");
  assert.equal((await runtime.execute(["exec", "--user", "1000:1000", id, "id", "-u"])).stdout, "1000\n");
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("takes no group and no variable of its caller along", async (bundle, runtime, scratch) => {
  await bundle.command("sh", "-c", "id -G; cat /proc/self/environ | tr '\\0' '\\n'");
  const caller = ["setpriv", "--groups", "4,24,27"];
  const { code, stdout, stderr } = await execute(
    [...caller, ...runtime.command("run", "--bundle", bundle.path, scratch.id("c"))],
    { env: { SECRET_OF_THE_CALLER: "yes" } },
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^0\n/);
  assert.match(stdout, /^PATH=/m);
  assert.doesNotMatch(stdout, /SECRET_OF_THE_CALLER/);
  // The caller has both.
  const own = await execute([...caller, "sh", "-c", "id -G; env"], { env: { SECRET_OF_THE_CALLER: "yes" } });
  assert.match(own.stdout, /4 24 27\n[^]*SECRET_OF_THE_CALLER/);
}, { programs: ["setpriv"] });

/** Kernels without keyrings have no such file. */
function hasKeyrings(): boolean {
  try {
    Deno.statSync("/proc/keys");
    return true;
  } catch {
    return false;
  }
}

if (hasKeyrings()) {
  runtimeTest("gives a container a session keyring of its own", async (bundle, runtime, scratch) => {
    await bundle.edit((spec) => {
      spec.linux.maskedPaths = [];
      spec.process.args = ["cat", "/proc/keys"];
    });
    const run = async (id: string, ...args: string[]) => {
      return await runtime.execute(["run", ...args, "--bundle", bundle.path, id]);
    };
    assert.match((await run(scratch.id("own"))).stdout, new RegExp(`_ses\\.${scratch.id("own")}`));
    assert.doesNotMatch(
      (await run(scratch.id("none"), "--no-new-keyring")).stdout,
      new RegExp(`_ses\\.${scratch.id("none")}`),
    );
  });
}

runtimeTest("shows a container no cgroup but its own, and lets it change none", async (bundle) => {
  await bundle.edit((spec) => spec.linux.namespaces!.push({ type: "cgroup" }));
  const script = "cut -d: -f3 /proc/self/cgroup | sort -u; ls -d /sys/fs/cgroup/*/.. >/dev/null; " +
    "for d in /sys/fs/cgroup /sys/fs/cgroup/*/; do mkdir $d/new 2>/dev/null && echo made in $d; done; " +
    "for f in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/*/release_agent; do " +
    "(echo 0 >$f) 2>/dev/null && echo wrote $f; done; grep ' - cgroup' /proc/self/mountinfo | cut -d' ' -f4 | sort -u";
  const own = await bundle.run(script);
  assert.equal(own.stdout, "/\n/\n", own.stderr);
  // Without the namespace the paths of the host are seen.
  await bundle.edit((spec) => spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "cgroup"));
  assert.match((await bundle.run(script)).stdout, /\/bt/);
});

runtimeTest("opens no device that the spec does not allow, though its node may be made", async (bundle) => {
  const script =
    "mknod /tmp/mem c 1 1 && mknod /tmp/log c 1 11 && mknod /tmp/disk b 7 200 && mknod /tmp/zero c 1 5 || exit 9; " +
    "for f in mem log disk zero; do (true </tmp/$f) 2>&1 | grep -q 'not permitted' && echo refused $f; done; rm /tmp/*";
  await bundle.edit((spec) => {
    for (const set of ["bounding", "effective", "permitted"] as const) {
      spec.process.capabilities![set]!.push("CAP_MKNOD");
    }
  });
  const refused = await bundle.run(script);
  assert.equal(refused.stdout, "refused mem\nrefused log\nrefused disk\n", refused.stderr);
  await bundle.edit((spec) => {
    spec.linux.resources = {
      devices: [{ allow: false, access: "rwm" }, { allow: true, type: "b", access: "r" }],
    };
  });
  // Where there is no such disk, the kernel says that instead.
  assert.equal((await bundle.run(script)).stdout, "refused mem\nrefused log\n");
});

runtimeTest(
  "gives the root of a user namespace nothing that is the host's root's",
  async (bundle, _runtime, scratch) => {
    const volume = `${scratch.path}/volume`;
    await Deno.mkdir(volume, { mode: 0o777 });
    await Deno.chmod(volume, 0o777);
    await Deno.writeTextFile(`${volume}/secret`, "of the host\n", { mode: 0o600 });
    await bundle.edit((spec) => {
      spec.mounts = spec.mounts.filter(({ type }) => type !== "cgroup");
      spec.mounts.push({ destination: "/volume", type: "bind", source: volume, options: ["bind"] });
    });
    const script = "cat /volume/secret 2>&1; echo made >/volume/made; id -u; chown 0 /volume/secret 2>&1; " +
      "mknod /tmp/disk b 254 0 2>&1; umount /proc/sys 2>&1; hostname other 2>&1; " +
      "(echo 1 >/proc/sys/kernel/panic) 2>&1; cut -c1-6 /proc/sys/kernel/core_pattern >/dev/null; true";
    const open = await bundle.run(script);
    assert.match(open.stdout, /^of the host\n0\n/);
    await Deno.remove(`${volume}/made`);
    await bundle.edit((spec) => {
      spec.linux.namespaces!.push({ type: "user" });
      spec.linux.uidMappings = spec.linux.gidMappings = [{ containerID: 0, hostID: 100_000, size: 1000 }];
    });
    await execute(["chown", "-R", "-h", "100000:100000", bundle.rootfs]);
    const { stdout, stderr } = await bundle.run(script);
    assert.match(stdout, /^cat: can't open '\/volume\/secret': Permission denied\n0\n/, stderr);
    assert.equal(stdout.match(/not permitted|denied|Invalid argument|Read-only|must be/g)?.length, 6, stdout + stderr);
    const made = Deno.statSync(`${volume}/made`);
    assert.equal(made.uid, 100_000);
    assert.equal(await Deno.readTextFile(`${volume}/secret`), "of the host\n");
  },
);
