/**
 * Hooks in all six places, by barge and by runc.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Hook } from "../../api/oci/runtime_spec.ts";
import { Bundle, runtimeTest } from "../bundle.ts";
import type { Scratch } from "../scratch.ts";
import { patient } from "../patience.ts";

/** A hook that is a line of shell; busybox wants to be called by its applet's name. */
function shell(script: string, more: Partial<Hook> = {}): Hook {
  return { path: "/bin/sh", args: ["sh", "-c", script], ...more };
}

/** Hooks that write what they see to files of the test's directory, which the container has as well, at `/notes`. */
async function record(bundle: Bundle, scratch: Scratch): Promise<(place: string) => Promise<Record<string, string>>> {
  const notes = `${scratch.path}/notes`;
  await Deno.mkdir(notes);
  const script = (directory: string, place: string) =>
    `f=${directory}/${place}; exec > $f; printf 'state='; cat; echo; echo "argv0=$0"; echo "word=$WORD"; ` +
    `echo "cwd=$(pwd)"; echo "mnt=$(readlink /proc/self/ns/mnt)"; echo "net=$(readlink /proc/self/ns/net)"; ` +
    `echo "uid=$(id -u)"; echo "ran=$(test -e ${directory}/ran && echo yes)"; ` +
    `echo "root=$(test -e ${bundle.rootfs}/dev/null && echo filled)"`;
  await bundle.edit((spec) => {
    spec.mounts.push({ destination: "/notes", type: "bind", source: notes, options: ["bind"] });
    spec.annotations = { "example.org/one": "1" };
    spec.process.args = ["sh", "-c", "touch /notes/ran; sleep 100"];
    spec.process.user = { uid: 1000, gid: 1000 };
    const env = ["WORD=given", "PATH=/usr/bin:/bin"];
    spec.hooks = {};
    for (const place of ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]) {
      spec.hooks[place] = [{ path: "/bin/sh", args: ["hook-name", "-c", script(notes, place)], env }];
    }
    spec.hooks["startContainer"] = [shell(script("/notes", "startContainer"), { env })];
  });
  await Deno.chmod(notes, 0o777);
  return async (place) => {
    const lines = (await Deno.readTextFile(`${notes}/${place}`)).trim().split("\n");
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
  };
}

runtimeTest("hooks see the state, the namespaces and the moment of their place", async (bundle, runtime, scratch) => {
  const seen = await record(bundle, scratch);
  const id = scratch.id("c");
  const created = await runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
  assert.equal(created.code, 0, created.stderr);
  const pid = (await runtime.state(id))?.pid;
  const host = { mnt: Deno.readLinkSync("/proc/self/ns/mnt"), net: Deno.readLinkSync("/proc/self/ns/net") };
  const inside = {
    mnt: Deno.readLinkSync(`/proc/${pid}/ns/mnt`),
    net: Deno.readLinkSync(`/proc/${pid}/ns/net`),
  };
  for (const place of ["prestart", "createRuntime", "createContainer"]) {
    const hook = await seen(place);
    const isInside = place === "createContainer";
    assert.deepEqual({ mnt: hook["mnt"], net: hook["net"] }, isInside ? inside : host, place);
    const state = JSON.parse(hook["state"]!);
    assert.deepEqual(
      [state.id, state.bundle, state.status, state.pid, state.annotations["example.org/one"]],
      [id, bundle.path, "creating", isInside ? 1 : pid, "1"],
      place,
    );
    assert.deepEqual([hook["word"], hook["uid"], hook["ran"]], ["given", "0", ""], place);
    assert.equal(hook["argv0"], "hook-name", place);
    assert.equal(hook["cwd"], isInside ? bundle.rootfs : runtime.name === "runc" ? bundle.path : Deno.cwd(), place);
    assert.equal(hook["root"], isInside ? "filled" : "", `${place}: the mounts are the container's own`);
  }
  await assert.rejects(seen("startContainer"), "it is run by create");
  await runtime.succeed(["start", id]);
  await runtime.reaches(id, "running");
  const start = await seen("startContainer");
  assert.deepEqual([start["mnt"], start["net"], start["word"], start["uid"], start["ran"], start["cwd"]], [
    ...[inside.mnt, inside.net, "given", "1000", "", "/"],
  ]);
  const startState = JSON.parse(start["state"]!);
  assert.deepEqual([startState.id, startState.status, startState.pid], [id, "created", 1]);
  const after = await seen("poststart");
  assert.equal(after["mnt"], host.mnt);
  // runc 1.1 runs them at the end of create; the specification, and runc since 2026, after the start.
  assert.equal(JSON.parse(after["state"]!).status, runtime.name === "runc" ? "created" : "running");
  await assert.rejects(seen("poststop"));
  await runtime.succeed(["delete", "--force", id]);
  const stop = JSON.parse((await seen("poststop"))["state"]!);
  assert.deepEqual([stop.id, stop.status, stop.pid], [id, "stopped", undefined]);
});

for (const place of ["prestart", "createRuntime", "createContainer"]) {
  runtimeTest(`create fails where a ${place} hook does, and leaves nothing`, async (bundle, runtime, scratch) => {
    const marks = `${scratch.path}/marks`;
    await bundle.edit((spec) => {
      spec.hooks = {
        [place]: [shell("true"), shell("echo out; echo err >&2; exit 3"), shell(`echo third >> ${marks}`)],
        poststop: [shell(`echo stopped >> ${marks}`)],
      };
    });
    const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
      ...["create", "--bundle", bundle.path, scratch.id("c")],
    ]);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`error running (${place} )?hook #1: error running hook: exit status 3`));
    assert.match(stderr, /stdout: out\\?\\?n?\s*, stderr: err/);
    assert.equal(await runtime.state(scratch.id("c")), undefined);
    assert.equal(await Deno.readTextFile(marks), "stopped\n");
  });
}

runtimeTest("a hook that takes too long is killed", async (bundle, runtime, scratch) => {
  await bundle.edit((spec) => spec.hooks = { createRuntime: [shell("exec sleep 100", { timeout: 1 })] });
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
    ...["create", "--bundle", bundle.path, scratch.id("c")],
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /error running (createRuntime )?hook #0: hook ran past specified timeout of 1\.0s/);
});

runtimeTest("a hook that does not exist is an error that names it", async (bundle, runtime, scratch) => {
  await bundle.edit((spec) => spec.hooks = { createContainer: [{ path: "/no/such/hook" }] });
  const { code, stderr } = await runtime.detached(`${scratch.path}/out`, [
    ...["create", "--bundle", bundle.path, scratch.id("c")],
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /error running (createContainer )?hook #0: fork\/exec \/no\/such\/hook: no such file/);
});

runtimeTest("the command does not run where a startContainer hook fails", async (bundle, runtime, scratch) => {
  await bundle.edit((spec) => {
    spec.process.args = ["touch", "/tmp/ran"];
    spec.hooks = { startContainer: [shell("exit 5")] };
  });
  const id = scratch.id("c");
  await runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
  const { code } = await runtime.execute(["start", id]);
  // runc's start does not wait for them.
  if (runtime.name === "barge") assert.equal(code, 1);
  await runtime.reaches(id, "stopped");
  await runtime.succeed(["delete", id]);
  await assert.rejects(Deno.stat(`${bundle.rootfs}/tmp/ran`));
});

runtimeTest("run runs all hooks around the command", async (bundle, _runtime, scratch) => {
  const marks = `${scratch.path}/marks`;
  const places = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
  await bundle.edit((spec) => {
    spec.hooks = Object.fromEntries(
      places.map((place) => [place, [shell(`cat > /dev/null; echo ${place} >> ${marks}`)]]),
    );
    spec.hooks["startContainer"] = [shell("echo startContainer > /tmp/mark")];
  });
  const { code, stdout, stderr } = await bundle.run("cat /tmp/mark; exit 4");
  assert.deepEqual([code, stdout], [4, "startContainer\n"], stderr);
  assert.deepEqual((await Deno.readTextFile(marks)).trim().split("\n"), places);
});

runtimeTest("delete goes on where a poststop hook fails", async (bundle, runtime, scratch) => {
  await bundle.edit((spec) => {
    spec.process.args = ["true"];
    spec.hooks = { poststop: [shell("exit 1")] };
  });
  const id = scratch.id("c");
  await runtime.detached(`${scratch.path}/out`, ["create", "--bundle", bundle.path, id]);
  await runtime.execute(["delete", "--force", id]);
  assert.equal(await runtime.state(id), undefined);
});

for (const place of ["createRuntime", "createContainer", "startContainer"]) {
  runtimeTest(`a runtime that is killed in a ${place} hook leaves what delete --force removes`, async (
    bundle,
    runtime,
    scratch,
  ) => {
    const id = scratch.id("c");
    const mark = place === "startContainer" ? "/tmp/mark" : `${scratch.path}/mark`;
    await bundle.edit((spec) => {
      spec.process.args = ["touch", "/tmp/ran"];
      spec.hooks = { [place]: [shell(`echo > ${mark}; exec sleep 1`)] };
    });
    // Standard input and outputs of a detached run are the container's own.
    await using run = runtime.spawn(["run", "--bundle", bundle.path, id]);
    const onHost = place === "startContainer" ? `${bundle.rootfs}${mark}` : mark;
    for (let tries = 0; tries < patient(200); tries++) {
      if (await Deno.stat(onHost).then(() => true, () => false)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    run.kill("SIGKILL");
    await run.finished;
    // The hook itself is nobody's any more; it ends by itself.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await runtime.succeed(["delete", "--force", id]);
    assert.equal(await runtime.state(id), undefined);
    await assert.rejects(Deno.stat(`${bundle.rootfs}/tmp/ran`), "the command ran although its runtime was killed");
  }, { only: "barge" });
}
