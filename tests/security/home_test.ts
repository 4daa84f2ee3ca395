/**
 * What a container makes of its `/etc/passwd` when somebody joins it without HOME: no shim waits for it, no file of the
 * kernel's is read with the host's rights, and no other container notices.
 */
import assert from "node:assert/strict";
import { hostArch } from "../../ffi/arch.ts";
import { runtimeTest } from "../bundle.ts";
import { succeed, systemTest } from "../command.ts";
import { type BareShim, withBareShim } from "../shim/bare_shim.ts";

/** Any exec is over by then, also on a busy machine; one that waits for the container is not. */
const soonMs = 5_000;

/** Settles with the promise; says so where it takes longer. */
async function soon<T>(what: string, promise: Promise<T>, timeMs = soonMs): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${timeMs} ms`)), timeMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A container whose /etc is a volume of its own, made by `fill`, and another one that has done nothing. */
async function withTwo(fill: (etc: string) => Promise<void>, body: (shim: BareShim) => Promise<void>): Promise<void> {
  await withBareShim(async (shim) => {
    const etc = `${shim.scratch.path}/etc`;
    await Deno.mkdir(etc);
    await fill(etc);
    await shim.run("hostile", {
      args: ["sleep", "1000"],
      edit: (spec) => spec.mounts.push({ destination: "/etc", type: "bind", source: etc, options: ["bind"] }),
    });
    await shim.run("other", { args: ["sleep", "1000"] });
    await body(shim);
    for (const id of ["hostile", "other"]) await shim.remove(id);
  });
}

const kinds: [string, (path: string) => Promise<unknown>][] = [
  ["the kernel's log", (path) => Deno.symlink("/proc/kmsg", path)],
  ["another process's memory", (path) => Deno.symlink("/proc/1/smaps", path)],
  ["a fifo", (path) => new Deno.Command("mkfifo", { args: [path] }).output()],
  ["itself", (path) => Deno.symlink("passwd", path)],
  ["a directory", (path) => Deno.mkdir(path)],
];

for (const [name, make] of kinds) {
  systemTest(
    `a shim answers while its container's /etc/passwd is ${name}`,
    ["busybox", "mkfifo"],
    () =>
      withTwo((etc) => make(`${etc}/passwd`).then(() => {}), async (shim) => {
        const output = `${shim.scratch.path}/out`;
        await Deno.writeTextFile(output, "");
        const exec = shim.exec("hostile", "e", ["sh", "-c", "echo $HOME"], { stdout: `file://${output}` });
        exec.catch(() => {});
        await soon("the other container", shim.task.state({ id: "other", execId: "" }));
        await soon("the exec", exec);
        await soon("its end", shim.wait("hostile", "e"));
        await shim.delete("hostile", "e");
        assert.equal(await Deno.readTextFile(output), "/\n");
      }),
  );
}

for (const type of ["pid", "network", "user"] as const) {
  systemTest(`a shim answers while the ${type} namespace of a spec is a fifo, and says that it is none`, [
    "busybox",
    "mkfifo",
  ], () =>
    withBareShim(async (shim) => {
      const path = `${shim.scratch.path}/fifo`;
      await succeed(["mkfifo", path]);
      await shim.run("other", { args: ["sleep", "1000"] });
      const creation = shim.create("hostile", {
        args: ["true"],
        edit: (spec) => {
          const others = (spec.linux.namespaces ?? []).filter((namespace) => namespace.type !== type);
          spec.linux.namespaces = [...others, { type, path }];
        },
      });
      creation.catch(() => {});
      await soon("the other container", shim.task.state({ id: "other", execId: "" }));
      await assert.rejects(soon("the creation", creation), /namespace .*fifo": it is n/);
      await shim.remove("other");
    }));
}

/** Numbers of mount(2) and mknodat(2). */
const numbers = { x86_64: { mount: 165, mknodat: 259 }, aarch64: { mount: 40, mknodat: 33 } }[hostArch];

/** Mounts a file system that never answers on /etc. */
const silentFileSystem = `
  syscall(${numbers.mknodat}, -100, my $node = "/dev/fuse", 0020666, (10 << 8) | 229) == 0 or die "mknod: $!";
  open(my $fuse, "+<", "/dev/fuse") or die "open: $!";
  my $options = "fd=" . fileno($fuse) . ",rootmode=40000,user_id=0,group_id=0,allow_other";
  my ($source, $target, $type) = ("silent", "/etc", "fuse");
  syscall(${numbers.mount}, $source, $target, $type, 0, $options) == 0 or die "mount: $!";
  sleep 1000;
`;

const hasFuse = (() => {
  try {
    return Deno.statSync("/dev/fuse").isCharDevice === true;
  } catch {
    return false;
  }
})();

systemTest(
  "a shim answers while a file system that its container serves itself does not, and the exec fails in the end",
  ["busybox", "perl", ...hasFuse ? [] : ["fuse"]],
  () =>
    withBareShim(async (shim) => {
      const { rootfs } = { rootfs: `${shim.scratch.path}/rootfs` };
      await Deno.mkdir(`${rootfs}/usr`);
      for (const name of ["lib", "lib64"]) await Deno.symlink(`usr/${name}`, `${rootfs}/${name}`);
      const rights = ["CAP_SYS_ADMIN", "CAP_MKNOD"];
      const pid = await shim.run("hostile", {
        args: ["/usr/bin/perl", "-e", silentFileSystem],
        edit: (spec) => {
          spec.mounts.push({ destination: "/usr", type: "bind", source: "/usr", options: ["bind", "ro"] });
          spec.linux.resources = { devices: [{ allow: true, type: "c", major: 10, minor: 229, access: "rwm" }] };
          spec.process.capabilities = { bounding: rights, effective: rights, permitted: rights };
        },
      });
      await shim.run("other", { args: ["sleep", "1000"] });
      for (let waited = 0; !Deno.readTextFileSync(`/proc/${pid}/mountinfo`).includes(" fuse silent "); waited += 20) {
        assert.ok(waited < soonMs, "the file system is not mounted");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const exec = shim.exec("hostile", "e", ["true"]);
      exec.catch(() => {});
      for (let round = 0; round < 5; round++) {
        await soon("the other container", shim.task.state({ id: "other", execId: "" }), 2_000);
        await soon("an exec in it", shim.exec("other", `e${round}`, ["true"]));
      }
      await assert.rejects(soon("the exec", exec, 30_000), /"\/etc\/passwd" could not be read within 10 s/);
      for (const id of ["hostile", "other"]) await shim.remove(id);
    }),
);

runtimeTest(
  "finds HOME in the passwd that the container has mounted, far down in it",
  async (bundle, runtime, scratch) => {
    const passwd = `${scratch.path}/passwd`;
    const others = Array.from({ length: 40_000 }, (_, index) => `u${index}:x:${index + 5000}:0::/none:/bin/sh\n`);
    await Deno.writeTextFile(passwd, `${others.join("")}late:x:77:0::/home/of-late:/bin/sh`);
    await bundle.edit((spec) => {
      spec.mounts.push({ destination: "/etc/passwd", type: "bind", source: passwd, options: ["bind", "ro"] });
      spec.process.user = { uid: 77, gid: 0 };
      spec.process.env = ["PATH=/bin"];
    });
    const run = await bundle.run("echo $HOME");
    assert.equal(run.stdout, "/home/of-late\n", run.stderr);
    const id = scratch.id("joined");
    await bundle.command("sleep", "1000");
    await runtime.detached(`${scratch.path}/out`, ["run", "--detach", "--bundle", bundle.path, id]);
    const joined = await runtime.execute(["exec", "--env", "HOME=", id, "sh", "-c", "echo $HOME"]);
    assert.equal(joined.stdout, "/home/of-late\n", joined.stderr);
    await runtime.succeed(["delete", "--force", id]);
  },
);

runtimeTest("says that /etc/passwd is too large to look a home up in", async (bundle) => {
  const path = `${bundle.rootfs}/etc/passwd`;
  await Deno.truncate(path, (16 << 20) + 1);
  await bundle.edit((spec) => {
    spec.process.user = { uid: 4321, gid: 0 };
    spec.process.env = ["PATH=/bin"];
  });
  const { code, stderr } = await bundle.run("true");
  assert.notEqual(code, 0);
  assert.match(stderr, /the container's .{0,2}"\/etc\/passwd.{0,2}" is larger than 16 MiB/);
}, { only: "barge" });
