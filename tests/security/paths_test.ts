/**
 * Paths of an image or a volume that lead, or come to lead, out of the container: CVE-2021-30465, CVE-2024-45310,
 * CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2026-41579.
 */
import assert from "node:assert/strict";
import { Data, type Step } from "../../ffi/program/program.ts";
import { copyTree } from "../../shim/oci/copy_tree.ts";
import { readInLayers, readInRoot } from "../../shim/oci/read_in_root.ts";
import { type FullSpec, makeRootfs, runtimeTest } from "../bundle.ts";
import { execute, Running, succeed, systemTest } from "../command.ts";
import { makeScratch } from "../scratch.ts";
import { type Change, planned } from "./planned_run.ts";
import { startSwapper } from "./swapper.ts";

/** Rounds of a race: set BARGE_RACES to 1000 for a thorough run. */
const races = Number(Deno.env.get("BARGE_RACES") ?? "30");

/** A root file system, a volume and a directory of the host that must stay as it is. */
async function withVictim(body: (place: { rootfs: string; volume: string; victim: string }) => Promise<void>) {
  await using scratch = await makeScratch();
  const place = {
    rootfs: `${scratch.path}/rootfs`,
    volume: `${scratch.path}/volume`,
    victim: `${scratch.path}/victim`,
  };
  await makeRootfs(place.rootfs);
  for (const path of [place.volume, `${place.volume}/real`, place.victim]) await Deno.mkdir(path);
  await body(place);
  await scratch.assertNothingLeft();
}

/** A volume at /volume, and a tmpfs deep below a directory of it. */
function volumeWith(volume: string, below: string) {
  return (spec: FullSpec) => {
    spec.mounts.push({ destination: "/volume", type: "bind", source: volume, options: ["bind"] });
    spec.mounts.push({ destination: `/volume/real/${below}`, type: "tmpfs", source: "tmpfs", options: ["nosuid"] });
  };
}

function entries(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

/** Resolves as any other path of the host: what a runtime does that puts the root's path before the container's. */
const trustLinks: Change = (step) => {
  const [root, path, how, size] = step.args;
  if (step.call !== "openat2" || typeof path !== "string" || !(how instanceof Data)) return step;
  const free = new Data(how.bytes.slice(), how.shown);
  free.bytes.fill(0, 16, 24);
  return { ...step, args: [root!, path.replace(/^\/+/, "") || ".", free, size!] };
};

systemTest("a volume's link to the host makes no file there", ["busybox"], async () => {
  await withVictim(async ({ rootfs, volume, victim }) => {
    await Deno.remove(`${volume}/real`);
    await Deno.symlink(victim, `${volume}/real`);
    await Deno.mkdir(`${rootfs}${victim}`, { recursive: true });
    const run = { rootfs, command: ["true"], edit: volumeWith(volume, "made/there") };
    const { failure } = await planned(run);
    assert.equal(failure, undefined);
    assert.deepEqual(entries(victim), []);
    // The same path, but in the container.
    assert.deepEqual(entries(`${rootfs}${victim}`), ["made"]);
    await planned({ ...run, weaken: trustLinks });
    assert.deepEqual(entries(victim), ["made"], "without RESOLVE_IN_ROOT the attack is to succeed");
  });
});

systemTest(`a directory that becomes a link while a container starts makes no file on the host, ${races} times`, [
  "busybox",
], async () => {
  await withVictim(async ({ rootfs, volume, victim }) => {
    await Deno.symlink(victim, `${volume}/link`);
    await using _swapper = await startSwapper(`${volume}/real`, `${volume}/link`);
    for (let round = 0; round < races; round++) {
      const below = `round${round}/deep/er`;
      const { failure, output } = await planned({
        rootfs,
        command: ["sh", "-c", "grep -c /deep/er /proc/self/mountinfo"],
        edit: volumeWith(volume, below),
      });
      assert.deepEqual(entries(victim), [], `round ${round}: ${failure ?? output}`);
      // Either it is mounted, once and inside, or a step says what it could not find.
      if (failure === undefined) assert.equal(output, "1\n");
      else assert.match(failure, /^mount tmpfs on /);
    }
  });
});

runtimeTest("creates a container while a volume's directory becomes a link", async (bundle, runtime, scratch) => {
  const [volume, victim] = [`${scratch.path}/volume`, `${scratch.path}/victim`];
  for (const path of [volume, `${volume}/real`, victim]) await Deno.mkdir(path);
  await Deno.symlink(victim, `${volume}/link`);
  await using _swapper = await startSwapper(`${volume}/real`, `${volume}/link`);
  // One process for each: a few are enough here, the test above has the numbers.
  for (let round = 0; round < Math.max(races / 10, 3); round++) {
    await bundle.edit((spec) => {
      spec.process.args = ["true"];
      spec.mounts = spec.mounts.filter(({ destination }) => !destination.startsWith("/volume"));
      volumeWith(volume, `round${round}/deep/er`)(spec);
    });
    const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id(`r${round}`)]);
    assert.deepEqual(entries(victim), [], `round ${round}: ${stderr}`);
    if (code !== 0) assert.match(stderr, /mount tmpfs on /);
  }
}, { only: "barge" });

systemTest(
  "a memory file system begins with no file of the host, where what it covers becomes a link",
  ["busybox"],
  async () => {
    await withVictim(async ({ volume, victim, rootfs }) => {
      await Deno.writeTextFile(`${victim}/secret`, "of the host");
      await Deno.writeTextFile(`${volume}/real/own`, "of the volume");
      await Deno.symlink(victim, `${volume}/link`);
      await Deno.symlink("nowhere", `${volume}/dangling`);
      await using _swapper = await startSwapper(`${volume}/real`, `${volume}/link`);
      // Copied by path, the host's file was there in the first rounds, where the copy did not fail.
      for (let round = 0; round < races; round++) {
        const copy = `${rootfs}/tmp/copy${round}`;
        await Deno.mkdir(copy);
        // A directory that is full of links and directories again after each look.
        await copyTree(volume, copy).catch((error) => assert.match(String(error), /exists/));
        const found = (await succeed(["find", copy, "-name", "secret"])).trim();
        assert.equal(found, "", `round ${round}`);
        assert.equal(Deno.readLinkSync(`${copy}/dangling`), "nowhere");
      }
    });
  },
);

systemTest("proc is not mounted behind a link of the image", ["busybox"], async () => {
  await withVictim(async ({ rootfs }) => {
    await Deno.mkdir(`${rootfs}/tmp/fake`);
    await Deno.symlink("/tmp/fake", `${rootfs}/proc`);
    const { failure } = await planned({ rootfs, command: ["true"] });
    assert.match(failure ?? "", /mount proc on "\/proc": .*ordinary directory: the image has a symbolic link/);
    const noLinks = 4;
    const weak = await planned({
      rootfs,
      command: ["ls", "/tmp/fake/self/attr"],
      weaken: (step) => withoutResolveFlag(step, noLinks),
    });
    assert.match(weak.output, /current/, `${weak.failure}: without RESOLVE_NO_SYMLINKS the attack is to succeed`);
  });
});

/** The step with a resolve flag of its struct open_how cleared. */
function withoutResolveFlag(step: Step, resolve: number): Step {
  const [root, path, how, size] = step.args;
  if (step.call !== "openat2" || !(how instanceof Data)) return step;
  const free = new Data(how.bytes.slice(), how.shown);
  free.bytes[16]! &= ~resolve;
  return { ...step, args: [root!, path!, free, size!] };
}

runtimeTest("mounts no volume over the kernel's own files", async (bundle, runtime, scratch) => {
  const volume = `${scratch.path}/volume`;
  await Deno.mkdir(volume);
  await Deno.symlink("/proc", `${bundle.rootfs}/link`);
  const destinations = ["/proc", "/proc/", "//proc/.", "/tmp/../proc", "/proc/self", "/proc/self/attr", "/link/sys"];
  const run = async (destination: string) => {
    await bundle.edit((spec) => {
      spec.process.args = ["true"];
      spec.mounts = spec.mounts.filter(({ source }) => source !== volume);
      spec.mounts.push({ destination, type: "bind", source: volume, options: ["bind"] });
    });
    return await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
  };
  for (const destination of destinations) {
    const { code, stderr } = await run(destination);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /cover the kernel's own files|cannot be mounted because/);
  }
  // The volume is one that can be mounted.
  assert.equal((await run("/elsewhere")).code, 0);
});

runtimeTest("mounts nothing over the kernel's own files by a link in a volume", async (bundle, runtime, scratch) => {
  const [volume, other] = [`${scratch.path}/volume`, `${scratch.path}/other`];
  for (const path of [volume, other]) await Deno.mkdir(path);
  for (const [name, target] of [["sys", "/proc/sys"], ["self", "/proc/self"], ["up", "../proc/sys/kernel"]] as const) {
    await Deno.symlink(target, `${volume}/${name}`);
  }
  await Deno.symlink("/proc/self/attr/current", `${volume}/label`);
  await Deno.writeTextFile(`${other}/file`, "");
  const run = async (destination: string, mount: { type: string; source: string }) => {
    await bundle.edit((spec) => {
      spec.process.args = ["true"];
      spec.mounts = spec.mounts.filter(({ destination }) => !destination.startsWith("/vol"));
      spec.mounts.push({ destination: "/vol", type: "bind", source: volume, options: ["bind"] });
      spec.mounts.push({ destination, ...mount, options: mount.type === "bind" ? ["bind"] : [] });
    });
    return await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
  };
  const directory = { type: "bind", source: other };
  for (
    const [destination, mount] of [
      ["/vol/sys", directory],
      ["/vol/sys/kernel", directory],
      ["/vol/self", directory],
      ["/vol/up", directory],
      ["/vol/label", { type: "bind", source: `${other}/file` }],
      ["/vol/sys", { type: "tmpfs", source: "tmpfs" }],
    ] as const
  ) {
    const { code, stderr } = await run(destination, mount);
    assert.equal(code, 1, `${destination}: ${stderr}`);
    assert.match(stderr, /would cover|cannot be mounted because|is not on top of procfs/);
  }
  assert.equal((await run("/vol/real", directory)).code, 0);
  // runc 1.1.5 covers them.
}, { only: "barge" });

runtimeTest(
  "covers sysfs and the host's proc by their own names, as pods that watch their host do",
  async (bundle, runtime, scratch) => {
    await bundle.edit((spec) => {
      spec.process.args = ["sh", "-c", "ls -d /host/proc/self /sys/firmware/own && cat /host/proc/version >/dev/null"];
      const other = `${scratch.path}/other`;
      Deno.mkdirSync(`${other}/own`, { recursive: true });
      spec.linux.maskedPaths = [];
      spec.mounts.push({ destination: "/host", type: "bind", source: "/", options: ["rbind", "rslave"] });
      spec.mounts.push({ destination: "/host/proc", type: "bind", source: "/proc", options: ["rbind"] });
      spec.mounts.push({ destination: "/sys/firmware", type: "bind", source: other, options: ["bind"] });
    });
    const { code, stderr } = await runtime.execute(["run", "--bundle", bundle.path, scratch.id("c")]);
    assert.equal(code, 0, stderr);
  },
);

systemTest("a terminal is put over no file of the kernel's by a volume on /dev", ["busybox"], async () => {
  await withVictim(async ({ rootfs, volume }) => {
    await Deno.mkdir(`${rootfs}/dev`);
    await Deno.symlink("/proc/self/mountinfo", `${volume}/console`);
    await Deno.mkdir(`${volume}/pts`);
    const run = {
      rootfs,
      terminal: true,
      command: ["true"],
      edit: (spec: FullSpec) => {
        spec.process.terminal = true;
        spec.mounts = spec.mounts.filter(({ destination }) => destination === "/proc" || destination === "/dev/pts");
        spec.mounts.splice(1, 0, { destination: "/dev", type: "bind", source: volume, options: ["bind"] });
      },
    };
    const { failure } = await planned(run);
    assert.match(failure ?? "", /make \/dev\/console: a symbolic link leads to the kernel's own files/);
    await Deno.remove(`${volume}/console`);
    assert.equal((await planned(run)).failure, undefined);
  });
});

systemTest("nodes and links of /dev go to the container's root, where the image's /dev leads to the host", [
  "busybox",
], async () => {
  await withVictim(async ({ rootfs, victim }) => {
    await Deno.symlink(victim, `${rootfs}/dev`);
    await Deno.mkdir(`${rootfs}${victim}`, { recursive: true });
    const run = {
      rootfs,
      command: ["true"],
      edit: (spec: FullSpec) => spec.mounts = spec.mounts.filter(({ destination }) => !destination.startsWith("/dev")),
    };
    const { failure } = await planned(run);
    assert.equal(failure, undefined);
    assert.deepEqual(entries(victim), []);
    assert.ok(entries(`${rootfs}${victim}`).includes("null"));
    await planned({ ...run, weaken: trustLinks });
    assert.ok(entries(victim).includes("null"), "without RESOLVE_IN_ROOT the attack is to succeed");
  });
});

systemTest("the runtime opens no fifo or device that an image calls /etc/passwd", ["busybox", "mkfifo"], async () => {
  await withVictim(async ({ rootfs }) => {
    const path = `${rootfs}/etc/passwd`;
    await Deno.remove(path);
    await succeed(["mkfifo", path]);
    // Whoever opens the fifo for writing waits until somebody opens it for reading.
    await using writer = new Running(["sh", "-c", `echo waits; exec 3> '${path}'; echo opened`]);
    await writer.says("waits");
    assert.equal(readInRoot(rootfs, "etc/passwd"), undefined);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(writer.stdout, "waits\n");
    // The test could have seen it.
    await execute(["timeout", "20", "cat", path]);
    await writer.says("opened");
  });
});

systemTest("a file that the host reads of an image is its own, and has an end", ["busybox"], async () => {
  await withVictim(async ({ rootfs, victim }) => {
    const path = `${rootfs}/etc/passwd`;
    await Deno.truncate(path, 16 << 20);
    assert.equal(readInRoot(rootfs, "etc/passwd")?.length, 16 << 20);
    await Deno.truncate(path, (16 << 20) + 1);
    assert.throws(() => readInRoot(rootfs, "etc/passwd"), /rootfs\/etc\/passwd": it is larger than the 16 MiB/);
    await Deno.writeTextFile(path, "of the lower layer");
    // A directory of a layer that is a link to the host's decides nothing.
    await Deno.writeTextFile(`${victim}/passwd`, "of the host");
    const layer = `${victim}/layer`;
    await Deno.mkdir(layer);
    await Deno.symlink(victim, `${layer}/etc`);
    assert.equal(readInLayers([layer, rootfs], "etc/passwd"), "of the lower layer");
    await Deno.remove(`${layer}/etc`);
    await Deno.mkdir(`${layer}/etc`);
    await Deno.writeTextFile(`${layer}/etc/passwd`, "of the upper layer");
    assert.equal(readInLayers([layer, rootfs], "etc/passwd"), "of the upper layer");
    await Deno.remove(`${layer}/etc/passwd`);
    await succeed(["mknod", `${layer}/etc/passwd`, "c", "0", "0"]);
    assert.equal(readInLayers([layer, rootfs], "etc/passwd"), "");
  });
});

systemTest("a file of the kernel's that is mounted into an image is not read", ["busybox"], async () => {
  await withVictim(async ({ rootfs }) => {
    const path = `${rootfs}/etc/passwd`;
    await succeed(["mount", "--bind", "/proc/version", path]);
    try {
      assert.equal(readInRoot(rootfs, "etc/passwd"), undefined);
    } finally {
      await succeed(["umount", path]);
    }
    await Deno.writeTextFile(`${rootfs}/tmp/other`, "mounted");
    await succeed(["mount", "--bind", `${rootfs}/tmp/other`, path]);
    try {
      assert.equal(readInRoot(rootfs, "etc/passwd"), "mounted");
    } finally {
      await succeed(["umount", path]);
    }
  });
});
