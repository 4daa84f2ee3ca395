import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { isFailure } from "../../api/errors.ts";
import type { Activation, MountHandler } from "./activation.ts";
import { type ActivateOptions, MountManager, type MountManagerOptions } from "./mount_manager.ts";
import type { MountPart } from "./perform.ts";

const signal = AbortSignal.timeout(60_000);
const root = Deno.uid() === 0;
/** A test of what needs the right to mount. */
const mounting = (name: string, fn: () => Promise<void>, needs?: string) => {
  const missing = !root ? "not root" : needs !== undefined && !there(needs) ? `no ${needs}` : undefined;
  Deno.test({
    name: missing === undefined ? name : `${name} (skipped: ${missing})`,
    ignore: missing !== undefined,
    fn,
  });
};

function there(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

interface Fixture {
  dir: string;
  open(options?: Partial<MountManagerOptions>): Promise<MountManager>;
  mounted(): string[];
}

async function withDirectory(body: (fixture: Fixture) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "barge-mounts-" });
  const mounted = () =>
    Deno.readTextFileSync("/proc/self/mountinfo").split("\n").map((line) => line.split(" ")[4]!)
      .filter((path) => path?.startsWith(`${dir}/`)).map((path) => path.slice(dir.length + 1)).sort();
  try {
    await body({
      dir,
      mounted,
      open: (options = {}) =>
        MountManager.open({ directory: `${dir}/state`, roots: [dir], ...options }, (sentence) => {
          throw new Error(sentence);
        }),
    });
  } finally {
    for (const path of mounted()) await new Deno.Command("umount", { args: ["-l", `${dir}/${path}`] }).output();
    await Deno.remove(dir, { recursive: true });
  }
}

const mount = (type: string, source: string, ...options: string[]): MountPart => ({
  type,
  source,
  target: "",
  options,
});
const tmpfs = mount("tmpfs", "tmpfs", "size=1m");
const plain: ActivateOptions = { labels: { a: "b" }, temporary: false };
const activate = (manager: MountManager, name: string, mounts: MountPart[], options = plain) =>
  manager.activate("ns", name, mounts, options, signal);

mounting(
  "MountManager.activate() performs what a format/ mount refers to, and gives the rest back filled in",
  () =>
    withDirectory(async ({ dir, open, mounted }) => {
      using manager = await open();
      const overlay = mount(
        "format/mkdir/overlay",
        "overlay",
        "X-containerd.mkdir.path={{ mount 1 }}/upper:755",
        "X-containerd.mkdir.path={{ mount 1 }}/work",
        "upperdir={{ mount 1 }}/upper",
        "lowerdir={{ overlay 1 0 }}",
      );
      const info = await activate(manager, "one", [tmpfs, mount("tmpfs", "second", "mode=755"), overlay]);
      deepEqual(mounted(), ["state/t/1/1", "state/t/1/2"]);
      const [first, second] = [`${dir}/state/t/1/2`, `${dir}/state/t/1/1`];
      deepEqual(info.active.map(({ mountPoint }) => mountPoint), [first, second]);
      deepEqual(info.system, [mount("overlay", "overlay", `upperdir=${second}/upper`, `lowerdir=${second}:${first}`)]);
      equal(Deno.statSync(`${second}/upper`).mode! & 0o777, 0o755);
      deepEqual(manager.info("ns", "one"), info);
      deepEqual(manager.list("ns"), [info]);
      deepEqual(manager.list("other"), []);
      await rejects(activate(manager, "one", [tmpfs, overlay]), (error) => isFailure(error, "AlreadyExists"));
      await manager.deactivate("ns", "one", signal);
      await rejects(manager.deactivate("ns", "one", signal), (error) => isFailure(error, "NotFound"));
      deepEqual(mounted(), []);
      deepEqual([...Deno.readDirSync(`${dir}/state/t`), ...Deno.readDirSync(`${dir}/state/activations`)], []);
    }),
);

mounting(
  "MountManager.activate() mounts everything where it is temporary, and nothing without a reason",
  () =>
    withDirectory(async ({ dir, open, mounted }) => {
      using manager = await open();
      await rejects(activate(manager, "none", [tmpfs]), (error) => isFailure(error, "NotImplemented"));
      const { system } = await activate(manager, "all", [tmpfs], { ...plain, temporary: true });
      deepEqual(system, [mount("bind", `${dir}/state/t/1/1`, "rbind")]);
      deepEqual(mounted(), ["state/t/1/1"]);
      await manager.deactivate("ns", "all", signal);
    }),
);

mounting(
  "MountManager.activate() leaves nothing where a later mount fails",
  () =>
    withDirectory(async ({ dir, open, mounted }) => {
      using manager = await open();
      const bad = [tmpfs, mount("nosuchfs", "x"), mount("format/bind", "{{ mount 0 }}")];
      await rejects(activate(manager, "bad", bad), /nosuchfs.*no such device/);
      const outside = [tmpfs, mount("mkdir/bind", "x", "X-containerd.mkdir.path=/etc/never")];
      await rejects(activate(manager, "bad", outside), /mkdir "\/etc\/never": want a clean path below/);
      const climbing = [tmpfs, mount("mkdir/bind", "x", `X-containerd.mkdir.path=${dir}/../never`)];
      await rejects(activate(manager, "bad", climbing), (error) => isFailure(error, "InvalidArgument"));
      Deno.symlinkSync("/etc", `${dir}/link`);
      const linked = [tmpfs, mount("mkdir/bind", "x", `X-containerd.mkdir.path=${dir}/link/never`)];
      await rejects(activate(manager, "bad", linked), (error) => isFailure(error, "InvalidArgument"));
      const aborted = AbortSignal.abort(new Error("gave up"));
      await rejects(manager.activate("ns", "bad", [tmpfs], { ...plain, temporary: true }, aborted), /gave up/);
      deepEqual(mounted(), []);
      deepEqual([...Deno.readDirSync(`${dir}/state/t`), ...Deno.readDirSync(`${dir}/state/activations`)], []);
      await activate(manager, "bad", [tmpfs], { ...plain, temporary: true });
      await manager.deactivate("ns", "bad", signal);
    }),
);

mounting(
  "MountManager.open() keeps what stands and undoes what was not finished",
  () =>
    withDirectory(async ({ dir, open, mounted }) => {
      const temporary = { ...plain, temporary: true, lease: "l" };
      let kept: Activation;
      {
        using before = await open();
        kept = await activate(before, "kept", [tmpfs], temporary);
        await activate(before, "gone", [tmpfs], temporary);
        await activate(before, "half", [tmpfs, tmpfs], temporary);
        const lost = await activate(before, "lost", [tmpfs], temporary);
        const path = (id: number) => `${dir}/state/activations/${id}.json`;
        Deno.removeSync(path(lost.id));
        const half = before.info("ns", "half");
        Deno.writeTextFileSync(path(half.id), JSON.stringify({ ...half, active: [], complete: false }));
        await new Deno.Command("umount", { args: [before.info("ns", "gone").mountPoints[0]!] }).output();
      }
      using after = await open();
      deepEqual(after.list("ns"), [kept]);
      deepEqual(mounted(), ["state/t/1/1"]);
      deepEqual([...Deno.readDirSync(`${dir}/state/t`)].map(({ name }) => name), ["1"]);
      const next = await activate(after, "next", [tmpfs], temporary);
      ok(next.id > 4, "ids do not come back");
      deepEqual(await after.collect(({ name }) => name === "next", signal, () => {}), ["ns/kept"]);
      await after.deactivate("ns", "next", signal);
      deepEqual(mounted(), []);
    }),
);

mounting(
  "MountManager.deactivate() detaches what is still in use",
  () =>
    withDirectory(async ({ dir, open, mounted }) => {
      using manager = await open();
      await activate(manager, "busy", [tmpfs], { ...plain, temporary: true });
      using _file = await Deno.open(`${dir}/state/t/1/1/f`, { write: true, create: true });
      await manager.deactivate("ns", "busy", signal);
      deepEqual(mounted(), []);
    }),
);

mounting(
  "MountManager.activate() makes a file system image once and mounts it through a loop device",
  () =>
    withDirectory(async ({ dir, open }) => {
      using manager = await open();
      const image = mount(
        "mkfs/ext4",
        `${dir}/disk.img`,
        "loop",
        "X-containerd.mkfs.size=4MiB",
        "X-containerd.mkfs.uuid=01234567-89ab-cdef-0123-456789abcdef",
      );
      const both = [image, mount("format/bind", "{{ mount 0 }}", "rbind")];
      const { active } = await activate(manager, "disk", both);
      Deno.writeTextFileSync(`${active[0]!.mountPoint}/f`, "stays");
      await manager.deactivate("ns", "disk", signal);
      const again = await activate(manager, "disk", both);
      equal(Deno.readTextFileSync(`${again.active[0]!.mountPoint}/f`), "stays");
      await manager.deactivate("ns", "disk", signal);
      const losetup = await new Deno.Command("losetup", { args: ["-j", `${dir}/disk.img`] }).output();
      equal(new TextDecoder().decode(losetup.stdout), "");
      const tooSmall = [mount("mkfs/ext4", `${dir}/small.img`, "X-containerd.mkfs.size=1k"), tmpfs];
      await rejects(
        activate(manager, "small", tooSmall, { ...plain, temporary: true }),
        /failed format .*mkfs.ext4 failed/,
      );
      ok(!there(`${dir}/small.img`));
    }),
  "/usr/sbin/mkfs.ext4",
);

Deno.test("MountManager.activate() hands mounts to the handler of their type", () =>
  withDirectory(async ({ open }) => {
    const calls: string[] = [];
    const handler: MountHandler = {
      mount: (mount, target) => {
        calls.push(`mount ${mount.source}`);
        if (mount.source === "bad") return Promise.reject(new Error("no"));
        return Promise.resolve({ mount, mountPoint: `${target}-here`, mountedAt: 1 });
      },
      unmount: () => Promise.resolve(void calls.push("unmount")),
    };
    const handlers = new Map([["special", handler]]);
    {
      using manager = await open({ handlers });
      const { system } = await activate(manager, "s", [mount("special", "a"), mount("format/bind", "{{ mount 0 }}/x")]);
      ok(system[0]!.source.endsWith("/1-here/x"));
      await rejects(activate(manager, "t", [mount("special", "bad")]), /no/);
    }
    using manager = await open({ handlers });
    await manager.deactivate("ns", "s", signal);
    deepEqual(calls, ["mount a", "mount bad", "unmount", "unmount"]);
  }));

mounting("MountManager does one thing at a time with a name", () =>
  withDirectory(async ({ open, mounted }) => {
    using manager = await open();
    const temporary = { ...plain, temporary: true };
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => activate(manager, "n", [tmpfs], temporary)));
    deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected"]);
    const [end] = await Promise.all([
      manager.deactivate("ns", "n", signal).then(() => "ended"),
      activate(manager, "n", [tmpfs], temporary),
    ]);
    equal(end, "ended");
    equal(mounted().length, 1);
    await manager.deactivate("ns", "n", signal);
  }));

mounting(
  "MountManager leaves nothing half mounted when it ends, waits for that, and mounts nothing afterwards",
  () =>
    withDirectory(async ({ open, mounted }) => {
      const begun = Promise.withResolvers<void>();
      const handler: MountHandler = {
        async mount(_mount, _target, _active, signal) {
          begun.resolve();
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          throw signal.reason;
        },
        unmount: () => Promise.resolve(),
      };
      const handlers = new Map([["slow", handler]]);
      const manager = await open({ handlers });
      const kept = await activate(manager, "kept", [tmpfs], { ...plain, temporary: true });
      equal(kept.complete, true);
      const work = activate(manager, "one", [tmpfs, mount("slow", "x"), mount("tmpfs", "last")]);
      const failed = rejects(work, (error) => isFailure(error, "Unavailable") && /daemon ends/.test(error.message));
      await begun.promise;
      equal(mounted().length, 2);
      await manager[Symbol.asyncDispose]();
      deepEqual(mounted(), ["state/t/1/1"]);
      await failed;
      await rejects(
        activate(manager, "two", [tmpfs], { ...plain, temporary: true }),
        (error) => isFailure(error, "Unavailable"),
      );
      deepEqual(mounted(), ["state/t/1/1"]);
      using next = await open({ handlers });
      deepEqual(next.all().map(({ name }) => name), ["kept"]);
      await next.deactivate("ns", "kept", signal);
    }),
);
