/**
 * Descriptors that the caller of a runtime gives to a container.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runtimeTest } from "../bundle.ts";
import { execute } from "../command.ts";
import { patient } from "../patience.ts";

runtimeTest("--preserve-fds passes descriptors on, and nothing else is open", async (bundle, runtime, scratch) => {
  const file = `${scratch.path}/file`;
  await Deno.writeTextFile(file, "");
  await bundle.command("sh", "-c", "echo three >&3; echo four >&4; ls /proc/self/fd | wc -l; exec sleep 100");
  const id = scratch.id("c");
  const script = 'out=$1; file=$2; shift 2; exec "$@" </dev/null >"$out" 2>&1 3>>"$file" 4>>"$file" 5>>"$file"';
  const words = (
    ...args: string[]
  ) => ["sh", "-c", script, "sh", `${scratch.path}/out`, file, ...runtime.command(...args)];
  const { code } = await execute(words("run", "-d", "--preserve-fds", "2", "--bundle", bundle.path, id));
  const output = () => Deno.readTextFile(`${scratch.path}/out`);
  assert.equal(code, 0, await output());
  for (let tries = 0; (await output()) === "" && tries < patient(100); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(await Deno.readTextFile(file), "three\nfour\n");
  // Three standard streams, the two, and the directory that is listed.
  assert.equal((await output()).trim(), "6");
  const other = await execute(
    words("exec", "--preserve-fds", "1", id, "sh", "-c", "echo exec >&3; test ! -e /proc/self/fd/4"),
  );
  assert.equal(other.code, 0, await output());
  assert.match(await Deno.readTextFile(file), /four\nexec\n$/);
  await runtime.succeed(["delete", "--force", id]);
});

runtimeTest("--preserve-fds wants descriptors that are open", async (bundle, runtime, scratch) => {
  const { code } = await runtime.detached(`${scratch.path}/out`, [
    ...["create", "--preserve-fds", "30", "--bundle", bundle.path, scratch.id("c")],
  ]);
  assert.equal(code, 1);
  assert.equal(await runtime.state(scratch.id("c")), undefined);
});

runtimeTest("global flags of runc that would change the container are refused", async (bundle, runtime) => {
  await bundle.edit((spec) => spec.linux.cgroupsPath = "/not/a/unit");
  const systemd = await runtime.execute(["--systemd-cgroup", "create", "--bundle", bundle.path, "x"]);
  assert.equal(systemd.code, 1);
  assert.match(systemd.stderr, /expected cgroupsPath to be of format \S*slice:prefix:name\S* for systemd cgroups/);
  // A directory of states that is named must be there.
  await Deno.mkdir(runtime.stateRoot, { recursive: true });
  for (const mode of ["auto", "true", "false"]) {
    assert.equal((await runtime.execute(["--rootless", mode, "list"])).code, 0);
  }
  assert.equal((await runtime.execute(["--rootless", "maybe", "list"])).code, 1);
}, { only: "barge" });
