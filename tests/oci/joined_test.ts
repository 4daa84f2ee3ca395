/**
 * Containers that join the namespaces of another one, as those of a pod with a user namespace do.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Namespace } from "../../api/oci/runtime_spec.ts";
import { type Bundle, type Runtime, runtimeTest } from "../bundle.ts";
import { succeed } from "../command.ts";
import type { Scratch } from "../scratch.ts";

const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];

/** A container with a user namespace, that sleeps; gives its process's id. */
async function startHolder(bundle: Bundle, runtime: Runtime, scratch: Scratch): Promise<number> {
  await succeed(["chown", "-hR", "100000:100000", bundle.rootfs]);
  await bundle.edit((spec) => {
    spec.linux.namespaces = [...spec.linux.namespaces ?? [], { type: "user" }];
    spec.linux.uidMappings = map;
    spec.linux.gidMappings = map;
    spec.hostname = "holder";
    spec.linux.cgroupsPath = `/${scratch.id("holder")}`;
  });
  await bundle.command("sleep", "100");
  const id = scratch.id("holder");
  const { code, stderr } = await runtime.detached(`${scratch.path}/holder`, [
    ...["run", "--detach", "--bundle", bundle.path, id],
  ]);
  assert.equal(code, 0, stderr);
  return (await runtime.state(id))!.pid;
}

/** Lets the container join these namespaces of a process. */
async function join(bundle: Bundle, scratch: Scratch, pid: number, types: Namespace["type"][]): Promise<void> {
  const file = (type: string) => type === "network" ? "net" : type;
  await bundle.edit((spec) => {
    delete spec.hostname;
    spec.linux.cgroupsPath = `/${scratch.id("c")}`;
    spec.linux.namespaces = (["pid", "mount", "network", "ipc", "uts", "user"] as const).map((type) =>
      types.includes(type) ? { type, path: `/proc/${pid}/ns/${file(type)}` } : { type }
    );
  });
}

/** Inodes of the namespaces that a shell sees itself in, by what `readlink` prints. */
const seen = (types: string) => `for n in ${types}; do readlink /proc/self/ns/$n; done`;

runtimeTest(
  "a container joins another one's user namespace with what belongs to it",
  async (bundle, runtime, scratch) => {
    const pid = await startHolder(bundle, runtime, scratch);
    await join(bundle, scratch, pid, ["user", "network", "ipc", "uts"]);
    await bundle.edit((spec) => spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }]);
    const { code, stdout, stderr } = await bundle.run(
      `${seen("user net ipc uts mnt pid")}; hostname; id -u; echo $$; touch /made; ulimit -Hn; echo x > /dev/null && ` +
        "tr -s ' ' < /proc/self/uid_map",
    );
    assert.equal(code, 0, stderr);
    const lines = stdout.trim().split("\n");
    const own = (type: string) => Deno.readLinkSync(`/proc/${pid}/ns/${type}`);
    assert.deepEqual(lines.slice(0, 4), ["user", "net", "ipc", "uts"].map(own));
    assert.notEqual(lines[4], own("mnt"));
    assert.notEqual(lines[5], own("pid"));
    assert.deepEqual(lines.slice(6, 10), ["holder", "0", "1", "200"]);
    assert.equal(lines[10]?.trim(), "0 100000 65536");
    assert.equal((await Deno.stat(`${bundle.rootfs}/made`)).uid, 100_000);
    await runtime.succeed(["delete", "--force", scratch.id("holder")]);
  },
);

runtimeTest(
  "a container joins another one's user and pid namespaces, and exec does too",
  async (bundle, runtime, scratch) => {
    const pid = await startHolder(bundle, runtime, scratch);
    await join(bundle, scratch, pid, ["user", "pid"]);
    await bundle.command("sh", "-c", "echo $$; exec sleep 101");
    const id = scratch.id("c");
    const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
      ...["run", "--detach", "--bundle", bundle.path, id],
    ]);
    assert.equal(code, 0, stderr);
    const list = await runtime.succeed(["exec", id, "sh", "-c", `${seen("user pid")}; ps -o args; id -u`]);
    const own = (type: string) => Deno.readLinkSync(`/proc/${pid}/ns/${type}`);
    assert.ok(list.startsWith(`${own("user")}\n${own("pid")}\n`), list);
    assert.match(list, /sleep 100\n[^]*sleep 101\n/);
    assert.match(list, /\n0\n$/);
    // It is not the first process of that namespace.
    const number = Number(await Deno.readTextFile(`${scratch.path}/out`));
    assert.ok(number > 1, `${number}`);
    await runtime.succeed(["delete", "--force", id]);
    await runtime.succeed(["delete", "--force", scratch.id("holder")]);
  },
);

runtimeTest("a user namespace is joined beside namespaces of the host's", async (bundle, runtime, scratch) => {
  const pid = await startHolder(bundle, runtime, scratch);
  await join(bundle, scratch, pid, ["user"]);
  await bundle.edit((spec) =>
    spec.linux.namespaces = spec.linux.namespaces!.map((namespace) =>
      namespace.type === "uts" ? { type: "uts", path: `/proc/${Deno.pid}/ns/uts` } : namespace
    )
  );
  const { code, stdout, stderr } = await bundle.run(seen("user uts"));
  assert.equal(code, 0, stderr);
  assert.deepEqual(stdout.trim().split("\n"), [
    Deno.readLinkSync(`/proc/${pid}/ns/user`),
    Deno.readLinkSync("/proc/self/ns/uts"),
  ]);
  await runtime.succeed(["delete", "--force", scratch.id("holder")]);
  // runc joins the user namespace first, and has no right to the host's afterwards.
}, { only: "barge" });

runtimeTest("create says which namespace cannot be joined", async (bundle, runtime, scratch) => {
  const pid = await startHolder(bundle, runtime, scratch);
  for (const path of [`/proc/${pid}/ns/uts`, `${scratch.path}/none`, "/proc/self/ns/user"]) {
    await join(bundle, scratch, pid, ["user"]);
    await bundle.edit((spec) =>
      spec.linux.namespaces = spec.linux.namespaces!.map((namespace) =>
        namespace.type === "user" ? { type: "user", path } : namespace
      )
    );
    const id = scratch.id("c");
    const { code, stderr } = await runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
    assert.equal(code, 1, path);
    if (runtime.name === "barge") assert.ok(stderr.includes(path), stderr);
    assert.equal(await runtime.state(id), undefined);
  }
  await runtime.succeed(["delete", "--force", scratch.id("holder")]);
});
