/**
 * A container that watches the processes which join it: what it sees of them before they execute its own program, and
 * what it can take from them. CVE-2016-9962, CVE-2019-5736, and the memory of a shim that holds other containers'.
 */
import assert from "node:assert/strict";
import { hostArch } from "../../ffi/arch.ts";
import { type Bundle, runtimeTest } from "../bundle.ts";
import { patientEnd } from "../patience.ts";

/** How often the container is joined: set BARGE_RACES to 1000 for a thorough run. */
const races = Number(Deno.env.get("BARGE_RACES") ?? "5");

/** The number of ptrace(2). */
const ptrace = { x86_64: 101, aarch64: 117 }[hostArch];

/** Gives the bundle the host's perl, read-only, and makes the watcher its first process. */
async function addWatcher(bundle: Bundle, ofTheHost: string, capabilities: readonly string[]): Promise<void> {
  await Deno.mkdir(`${bundle.rootfs}/usr`);
  for (const name of ["lib", "lib64"]) await Deno.symlink(`usr/${name}`, `${bundle.rootfs}/${name}`);
  await Deno.copyFile(new URL("watcher.pl", import.meta.url), `${bundle.rootfs}/tmp/watcher.pl`);
  await bundle.edit((spec) => {
    spec.process.args = ["/usr/bin/perl", "/tmp/watcher.pl", String(ptrace), ofTheHost];
    spec.mounts.push({ destination: "/usr", type: "bind", source: "/usr", options: ["bind", "ro"] });
    for (const set of ["bounding", "effective", "permitted"] as const) {
      spec.process.capabilities![set]!.push(...capabilities);
    }
  });
}

/** What may be seen of a process that executes the container's own program. */
const ownProgram =
  /^(watches|exe \/bin\/busybox|fd (pipe:\[\]|\/dev\/null|\/)|map \/bin\/busybox|(memory of|traces) \/bin\/busybox)$/;

/** What one with CAP_SYS_PTRACE sees besides, of a process that is in the container already: nothing of the host's. */
const ownStages =
  /^(exe|memory of|traces) \/memfd:barge.*$|^fd (anon_inode:\[pidfd\]|\/memfd:barge.*|\/etc\/passwd)$|^map \/dev\/zero.*$/;

for (
  const [name, capabilities, isHarmless] of [
    ["shows a container no process that joins it before it is the container's own", [], [ownProgram]],
    ["shows a container that may trace nothing of the host", ["CAP_SYS_PTRACE"], [ownProgram, ownStages]],
  ] as const
) {
  // With a single clone, one that may trace saw the runtime's executable, memory, files and working directory at once.
  runtimeTest(name, async (bundle, runtime, scratch) => {
    const id = scratch.id("c");
    const output = `${scratch.path}/out`;
    const ofTheHost = `${scratch.path}/of-the-host`;
    await Deno.writeTextFile(ofTheHost, "");
    await addWatcher(bundle, ofTheHost, capabilities);
    const { code, stderr } = await runtime.detached(output, ["run", "--detach", "--bundle", bundle.path, id]);
    assert.equal(code, 0, stderr);
    const seen = async () => (await Deno.readTextFile(output)).trim().split("\n");
    const reaches = async (line: string) => {
      for (const end = patientEnd(30_000); !(await seen()).includes(line);) {
        assert.ok(performance.now() < end, `the watcher does not see "${line}": ${await seen()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await reaches("watches");
    for (let round = 0; round < races; round++) {
      const exec = await runtime.execute(["exec", id, "/bin/sleep", "0.05"], {
        env: { SECRET_OF_THE_RUNTIME: "yes" },
        cwd: scratch.path,
      });
      assert.equal(exec.code, 0, exec.stderr);
    }
    // It does look.
    await reaches("exe /bin/busybox");
    for (const line of await seen()) assert.ok(isHarmless.some((pattern) => pattern.test(line)), line);
    await runtime.succeed(["delete", "--force", id]);
  }, { only: "barge", programs: ["perl"] });
}
