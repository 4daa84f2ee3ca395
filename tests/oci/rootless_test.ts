/**
 * Containers of an ordinary user, whose only rights are those in a user namespace: by barge and by runc.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { FullSpec } from "../bundle.ts";
import { makeRootfs } from "../bundle.ts";
import { barge, execute, type Finished, succeed, systemTest } from "../command.ts";
import { missingPrograms } from "../registry.ts";
import { makeScratch, type Scratch } from "../scratch.ts";

/** Nobody's: what is tested does not depend on an entry of /etc/passwd. */
const uid = 12_345;

/** A runtime as the user calls it, with a bundle and a runtime directory that are his. */
class User {
  constructor(readonly runtime: readonly string[], readonly scratch: Scratch) {}

  get bundle(): string {
    return `${this.scratch.path}/bundle`;
  }

  get directory(): string {
    return `${this.scratch.path}/run`;
  }

  /** Runs shell text as the user, in the bundle; `$R` is the runtime. */
  async execute(script: string): Promise<Finished> {
    const env = [`PATH=${Deno.env.get("PATH") ?? ""}`, `HOME=${this.bundle}`, `XDG_RUNTIME_DIR=${this.directory}`];
    const user = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "env", "-i", ...env];
    return await execute([...user, `R=${this.runtime.join(" ")}`, "sh", "-c", `cd ${this.bundle}; ${script}`]);
  }

  async change(change: (spec: FullSpec) => void): Promise<void> {
    const path = `${this.bundle}/config.json`;
    // Written by the runtime's own `spec` command.
    const spec = JSON.parse(await Deno.readTextFile(path)) as FullSpec;
    change(spec);
    await Deno.writeTextFile(path, JSON.stringify(spec));
  }

  /** Makes the bundle anew. */
  async prepare(script: string): Promise<void> {
    await this.execute("rm -f config.json; $R spec --rootless");
    await this.change((spec) => {
      spec.process.terminal = false;
      spec.process.args = ["sh", "-c", script];
    });
  }
}

const noNamespaces = missingPrograms("setpriv", "unshare").length > 0 || Deno.uid() !== 0 ||
  !new Deno.Command("setpriv", {
    args: [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "unshare", "-U", "true"],
    stderr: "null",
  }).outputSync().success;

function rootlessTest(name: string, body: (user: User, name: "barge" | "runc") => Promise<void>): void {
  for (const runtime of ["barge", "runc"] as const) {
    const title = `${runtime} as an ordinary user ${name}`;
    const missing = noNamespaces ? ["user namespaces of ordinary users"] : [];
    systemTest(title, ["busybox", "setpriv", ...runtime === "runc" ? ["runc"] : [], ...missing], async () => {
      await using scratch = await makeScratch();
      const user = new User(runtime === "barge" ? [...barge, "oci"] : ["runc"], scratch);
      await makeRootfs(`${user.bundle}/rootfs`);
      await Deno.mkdir(user.directory);
      await succeed(["chown", "-R", `${uid}:${uid}`, user.bundle, user.directory]);
      await body(user, runtime);
      await scratch.assertNothingLeft();
    });
  }
}

rootlessTest("runs a command as root of a user namespace", async (user) => {
  await user.prepare("id -u; cat /proc/self/uid_map /proc/self/setgroups; touch /tmp/made /sys/x 2>/dev/null; exit 7");
  // The last file cannot be made: sysfs is the host's.
  await user.change((spec) => spec.root.readonly = false);
  const { code, stdout, stderr } = await user.execute("$R run only </dev/null");
  assert.deepEqual([code, stdout.trim().split(/\s+/)], [7, ["0", "0", String(uid), "1", "deny"]], stderr);
  assert.equal((await Deno.stat(`${user.bundle}/rootfs/tmp/made`)).uid, uid);
});

rootlessTest("leads a container's whole life, with states in XDG_RUNTIME_DIR", async (user, name) => {
  await user.prepare("exec sleep 1000");
  const { stdout, stderr } = await user.execute(`
$R create one </dev/null >out 2>&1 || cat out
$R state one | grep -o '"status": "[a-z]*"'; $R start one
$R exec one sh -c 'id -u; hostname; ls /proc | grep -c "^[0-9]"; exit 3' </dev/null; echo "code $?"
ls $XDG_RUNTIME_DIR/*/ | grep -v :
$R kill one KILL; for i in $(seq 100); do $R state one | grep stopped >/dev/null && break; sleep 0.1; done
$R delete one; $R run -d two </dev/null >out 2>&1 || cat out; $R delete --force two; $R list -q`);
  const shown = name === "barge" ? "oci" : "one";
  // The container's own two processes, and what the exec runs.
  assert.match(stdout, new RegExp(`^"status": "created"\\n0\\n\\S+\\n[234]\\ncode 3\\n${shown}\\n$`), stdout + stderr);
});

rootlessTest("is refused what only root has: limits, other groups, other people's ids", async (user) => {
  const changes: ((spec: FullSpec) => void)[] = [
    (spec) => spec.linux.resources = { memory: { limit: 100_000_000 } },
    (spec) => spec.linux.cgroupsPath = "/rootless-test",
    (spec) => spec.process.user.additionalGids = [5],
    (spec) => spec.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1 }],
    (spec) => spec.linux.namespaces = spec.linux.namespaces!.filter(({ type }) => type !== "user"),
  ];
  for (const change of changes) {
    await user.prepare("echo ran");
    await user.change(change);
    const { code, stdout, stderr } = await user.execute("$R run refused </dev/null");
    assert.deepEqual([code, stdout], [1, ""], `${change}`);
    assert.notEqual(stderr, "", `${change}`);
    assert.equal((await user.execute("$R list -q")).stdout, "");
  }
});
