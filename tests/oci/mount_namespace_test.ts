/**
 * Containers in the host's mount namespace, and in one that they join. The runtimes are called in a mount namespace that
 * stands for the host's: stock runc leaves its mounts there.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Bundle, type Runtime, runtimeTest } from "../bundle.ts";
import { execute, Running } from "../command.ts";
import type { Scratch } from "../scratch.ts";

/** Takes the paths away that cannot be covered in the host's namespace. */
async function inHosts(bundle: Bundle): Promise<void> {
  await bundle.edit((spec) => {
    spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "mount");
    delete spec.linux.maskedPaths;
    delete spec.linux.readonlyPaths;
  });
}

/** Runs the shell text on a host of its own, with `$RUNTIME` as the runtime's command. */
async function onHost(runtime: Runtime, script: string) {
  const words = runtime.command().map((word) => `'${word}'`).join(" ");
  const text = `mount --make-rprivate /; runtime() { ${words} "$@"; }; ${script}`;
  const { code, stdout, stderr } = await execute(["unshare", "--mount", "sh", "-c", text]);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

/** Mounts at and below the root file system, one in a line. */
const mounted = (rootfs: string) => `grep -c ' ${rootfs}[/ ]' /proc/self/mountinfo || true`;

runtimeTest(
  "without a mount namespace a container has its root and the host's mounts",
  async (bundle, runtime, scratch) => {
    await inHosts(bundle);
    await Deno.mkdir(`${bundle.path}/volume`);
    await Deno.writeTextFile(`${bundle.path}/volume/file`, "of the host\n");
    await bundle.edit((spec) =>
      spec.mounts.push({
        destination: "/volume",
        type: "bind",
        source: `${bundle.path}/volume`,
        options: ["rbind", "ro"],
      })
    );
    await bundle.command(
      "sh",
      "-c",
      "readlink /proc/self/ns/mnt; ls -d /proc/1 /bin; cat /volume/file; touch /volume/x || echo ro",
    );
    const output = await onHost(
      runtime,
      `readlink /proc/self/ns/mnt; runtime run --bundle ${bundle.path} ${scratch.id("c")} 2>/dev/null`,
    );
    const [own, its, ...lines] = output.trim().split("\n");
    assert.equal(own, its);
    assert.deepEqual(lines, ["/bin", "/proc/1", "of the host", "ro"]);
  },
);

runtimeTest(
  "the mounts of a container in the host's namespace go when it is deleted",
  async (bundle, runtime, scratch) => {
    await inHosts(bundle);
    await bundle.command("sleep", "100");
    const id = scratch.id("c");
    const seen = mounted(bundle.rootfs);
    const output = await onHost(
      runtime,
      `runtime run --detach --bundle ${bundle.path} ${id} </dev/null >/dev/null 2>&1; test $(${seen}) -gt 5 && echo many; ` +
        `runtime exec ${id} sh -c 'ls -d /bin/busybox; mkdir -p /made; readlink /proc/1/cwd'; ` +
        `test -d ${bundle.rootfs}/made && echo inside; runtime delete --force ${id}; ${seen}`,
    );
    assert.equal(output, "many\n/bin/busybox\n/\ninside\n0\n");
  },
  { only: "barge" },
);

runtimeTest("a start that fails leaves no mount in the host's namespace", async (bundle, runtime, scratch) => {
  await inHosts(bundle);
  await bundle.command("/nowhere");
  const run = `runtime run --bundle ${bundle.path} ${scratch.id("c")} >/dev/null 2>&1 || echo failed`;
  // The caller's own mount at the root's place stays.
  const script = `mount --bind ${bundle.rootfs} ${bundle.rootfs}; ${run}; ${mounted(bundle.rootfs)}`;
  assert.equal(await onHost(runtime, script), "failed\n1\n");
}, { only: "barge" });

runtimeTest("the host's own root is taken as it is, without mounts of the spec", async (bundle, runtime, scratch) => {
  await inHosts(bundle);
  await bundle.edit((spec) => spec.root.path = "/");
  const run = `runtime run --bundle ${bundle.path} ${scratch.id("c")} 2>&1`;
  assert.match(await onHost(runtime, `${run} || true`), /mounts: they would cover the host's own/);
  await bundle.edit((spec) => spec.mounts = []);
  await bundle.command("sh", "-c", "mkdir -p /tmp/$ID && mount -t tmpfs made /tmp/$ID && echo mounted");
  await bundle.edit((spec) => {
    spec.process.env = [`ID=${scratch.id("m")}`, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    for (const set of ["bounding", "effective", "permitted"] as const) {
      spec.process.capabilities![set]?.push("CAP_SYS_ADMIN");
    }
  });
  const before = await Array.fromAsync(Deno.readDir("/dev"), ({ name }) => name);
  const output = await onHost(runtime, `${run}; grep -c ' /tmp/${scratch.id("m")} ' /proc/self/mountinfo`);
  await Deno.remove(`/tmp/${scratch.id("m")}`);
  assert.equal(output, "mounted\n1\n");
  assert.deepEqual(await Array.fromAsync(Deno.readDir("/dev"), ({ name }) => name), before);
}, { only: "barge" });

runtimeTest("a user namespace without one of mounts is refused", async (bundle) => {
  await inHosts(bundle);
  const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  await bundle.edit((spec) => {
    spec.linux.namespaces!.push({ type: "user" });
    Object.assign(spec.linux, { uidMappings: map, gidMappings: map });
  });
  const { code, stderr } = await bundle.run("true");
  assert.deepEqual([code, /user namespace has no right to mount/.test(stderr)], [1, true], stderr);
}, { only: "barge" });

runtimeTest(
  "a container joins a mount namespace, whose files its mounts come from",
  async (bundle, _r, scratch: Scratch) => {
    const source = `${scratch.path}/hidden`;
    await Deno.mkdir(source);
    // What the namespace has mounted there, the host does not see.
    const script = `mount --make-rprivate / && mount -t tmpfs tmpfs ${source} && mkdir ${source}/sub && ` +
      `echo of the namespace > ${source}/sub/file && echo ready && exec sleep 100`;
    await using holder = new Running(["unshare", "--mount", "sh", "-c", script]);
    await holder.says("ready");
    await bundle.edit((spec) => {
      spec.linux.namespaces!.find(({ type }) => type === "mount")!.path = `/proc/${holder.child.pid}/ns/mnt`;
      spec.mounts.push({ destination: "/sub", type: "bind", source: `${source}/sub`, options: ["rbind"] });
      spec.mounts.push({ destination: "/file", type: "bind", source: `${source}/sub/file`, options: ["rbind", "ro"] });
    });
    const expected = Deno.readLinkSync(`/proc/${holder.child.pid}/ns/mnt`);
    const { code, stdout, stderr } = await bundle.run("readlink /proc/self/ns/mnt; cat /sub/file /file; ls -d /proc/1");
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${expected}\nof the namespace\nof the namespace\n/proc/1\n`);
  },
);
