/**
 * Where mounts of a spec go and come from: links of the image, sources that other mounts bring, limits meanwhile.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Bundle, type FullSpec, runtimeTest } from "../bundle.ts";
import { succeed } from "../command.ts";

const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

async function withUserNamespace(bundle: Bundle): Promise<void> {
  await bundle.edit((spec) => {
    spec.linux.namespaces = [...spec.linux.namespaces ?? [], { type: "user" }];
    Object.assign(spec.linux, { uidMappings: map, gidMappings: map });
  });
  await succeed(["chown", "-hR", "100000:100000", bundle.rootfs]);
}

const bind = (spec: FullSpec, source: string, destination: string, ...options: string[]) =>
  spec.mounts.push({ destination, type: "bind", source, options: ["rbind", ...options] });

async function output(bundle: Bundle, script: string): Promise<string> {
  const { code, stdout, stderr } = await bundle.run(script);
  assert.equal(code, 0, stderr);
  return stdout;
}

runtimeTest(
  "a link that leads nowhere is a place for a mount: of a file, a directory, a memory file system",
  async (bundle) => {
    const { path, rootfs } = bundle;
    await Deno.writeTextFile(`${path}/resolv`, "nameserver 1\n");
    await Deno.mkdir(`${path}/volume`);
    await Deno.writeTextFile(`${path}/volume/file`, "");
    await Deno.symlink("../run/resolve/stub", `${rootfs}/etc/resolv.conf`);
    await Deno.symlink("/data/real", `${rootfs}/volume`);
    await Deno.symlink("/data/memory", `${rootfs}/memory`);
    // Below a mount of the spec's own, the image's links are not seen.
    await Deno.mkdir(`${rootfs}/dev`);
    await Deno.symlink("/elsewhere", `${rootfs}/dev/shm`);
    await bundle.edit((spec) => {
      spec.mounts.push({ destination: "/run", type: "tmpfs", source: "tmpfs" });
      bind(spec, `${path}/resolv`, "/etc/resolv.conf");
      bind(spec, `${path}/volume`, "/volume");
      spec.mounts.push({ destination: "/memory", type: "tmpfs", source: "tmpfs" });
    });
    const script = "cat /etc/resolv.conf /run/resolve/stub; ls /data/real; stat -f -c %T /data/memory /dev/shm/.";
    assert.equal(await output(bundle, script), "nameserver 1\nnameserver 1\nfile\ntmpfs\ntmpfs\n");
    assert.deepEqual(await Array.fromAsync(Deno.readDir(`${rootfs}/elsewhere`)).catch(() => "missing"), "missing");
  },
);

runtimeTest("proc goes behind links on the way to a directory, not onto a link", async (bundle) => {
  await Deno.mkdir(`${bundle.rootfs}/real`);
  await Deno.symlink("real", `${bundle.rootfs}/srv`);
  await bundle.edit((spec) => spec.mounts.push({ destination: "/srv/proc", type: "proc", source: "proc" }));
  assert.equal(await output(bundle, "ls -d /real/proc/1"), "/real/proc/1\n");
  await Deno.symlink("/real", `${bundle.rootfs}/real/link`);
  await bundle.edit((spec) => spec.mounts.at(-1)!.destination = "/real/link");
  const { code, stderr } = await bundle.run("true");
  assert.deepEqual([code, /must be mounted on ordinary directory/.test(stderr)], [1, true], stderr);
});

runtimeTest("a bind takes what an earlier mount has brought, directory or file", async (bundle) => {
  const { path, rootfs } = bundle;
  await Deno.mkdir(`${path}/volume`);
  await Deno.writeTextFile(`${path}/volume/file`, "of the volume\n");
  await Deno.mkdir(`${rootfs}/covered`);
  await Deno.writeTextFile(`${rootfs}/covered/below`, "");
  await bundle.edit((spec) => {
    bind(spec, `${path}/volume`, "/data");
    spec.mounts.push({ destination: "/covered", type: "tmpfs", source: "tmpfs" });
    bind(spec, `${rootfs}/data`, "/directory");
    bind(spec, `${rootfs}/data/file`, "/file", "ro");
    bind(spec, `${rootfs}/covered`, "/again");
  });
  const script = "cat /directory/file /file; touch /covered/made; ls /again; touch /file 2>/dev/null || echo ro";
  assert.equal(await output(bundle, script), "of the volume\nof the volume\nmade\nro\n");
});

runtimeTest(
  "what an earlier mount has brought does not cover the kernel's files by a volume's link",
  async (bundle) => {
    const { path, rootfs } = bundle;
    await Deno.mkdir(`${path}/volume/sub`, { recursive: true });
    await Deno.symlink("/proc/sys", `${path}/volume/sys`);
    await bundle.edit((spec) => {
      bind(spec, `${path}/volume`, "/vol");
      bind(spec, `${rootfs}/vol/sub`, "/vol/sys");
    });
    const { code, stderr } = await bundle.run("true");
    assert.deepEqual([code, /kernel's own files/.test(stderr)], [1, true], stderr);
  },
  { only: "barge" },
);

runtimeTest("a user namespace is no hindrance to sources that earlier mounts bring", async (bundle) => {
  await withUserNamespace(bundle);
  await bundle.edit((spec) => {
    spec.mounts.push({ destination: "/data", type: "tmpfs", source: "tmpfs" });
    bind(spec, `${bundle.rootfs}/data`, "/again");
  });
  assert.equal(await output(bundle, "touch /data/made; ls /again"), "made\n");
}, { only: "barge" });

runtimeTest("a source that nothing brings is told of", async (bundle) => {
  await bundle.edit((spec) => bind(spec, `${bundle.rootfs}/nowhere`, "/x"));
  const { code, stderr } = await bundle.run("true");
  assert.equal(code, 1);
  assert.match(stderr, /nowhere.*(the source does not exist|no such file or directory)/);
});

runtimeTest("a low limit of open files does not hold the mounts up, also in a user namespace", async (bundle) => {
  await bundle.edit((spec) => spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 20, hard: 64 }]);
  assert.equal(await output(bundle, "ulimit -n; ulimit -Hn"), "20\n64\n");
  await withUserNamespace(bundle);
  assert.equal(await output(bundle, "ulimit -n; ulimit -Hn"), "20\n64\n");
});

runtimeTest("a low limit of open files does not hold mapped mounts up", async (bundle) => {
  await withUserNamespace(bundle);
  const volumes = Array.from({ length: 30 }, (_, index) => `${bundle.path}/volume${index}`);
  for (const volume of volumes) await Deno.mkdir(volume);
  await bundle.edit((spec) => {
    spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 20, hard: 20 }];
    volumes.forEach((volume, index) => bind(spec, volume, `/volume${index}`, "idmap"));
  });
  assert.equal(await output(bundle, "ulimit -n; stat -c %u /volume29"), "20\n0\n");
}, { only: "barge" });

runtimeTest("idmap without maps takes those of the user namespace that is joined", async (bundle, runtime, scratch) => {
  await withUserNamespace(bundle);
  await bundle.command("sleep", "100");
  const id = scratch.id("holder");
  await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
  const { pid } = (await runtime.state(id))!;
  await Deno.mkdir(`${bundle.path}/volume`);
  try {
    await bundle.edit((spec) => {
      spec.linux.cgroupsPath = `/${scratch.id("joins")}`;
      delete spec.linux.uidMappings;
      delete spec.linux.gidMappings;
      spec.linux.namespaces!.find(({ type }) => type === "user")!.path = `/proc/${pid}/ns/user`;
      bind(spec, `${bundle.path}/volume`, "/volume", "idmap");
    });
    assert.equal(await output(bundle, "stat -c %u /volume; touch /volume/made"), "0\n");
    assert.equal((await Deno.stat(`${bundle.path}/volume/made`)).uid, 0);
  } finally {
    await runtime.succeed(["delete", "--force", id]);
  }
}, { only: "barge" });
