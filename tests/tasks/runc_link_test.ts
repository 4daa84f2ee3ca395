/**
 * Barge's shim by the name of containerd's, which Docker and BuildKit know alone: under barge's daemon it is one shim of
 * many containers, which it makes itself unless another runtime than plain `runc` is named.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isThere } from "../../ffi/is_there.ts";
import { succeed, systemTest } from "../command.ts";
import { startOwnShimBench } from "./own_shim_fixture.ts";
import { image } from "./task_fixture.ts";

const programs = ["busybox", "tar", "ctr", "skopeo", "runc"];
const runtime = ["--runtime", "io.containerd.runc.v2"];

systemTest("containers of runc's name share barge's shim with those of its own", programs, async () => {
  await using bench = await startOwnShimBench();
  const states = `/run/containerd/runc/${bench.namespace}`;
  const run = (id: string, ...flags: string[]) => bench.ask("run", "-d", ...flags, image, id, "sleep", "1000");
  await run("plain", ...runtime);
  await run("named", ...runtime, "--runc-binary", "runc");
  await run("own", "--runtime", "io.containerd.ts.v2");
  assert.equal(bench.shims().length, 1);
  assert(!isThere(states), "runc has made a container");
  const path = (await succeed(["sh", "-c", "command -v runc"])).trim();
  await run("other", ...runtime, "--runc-binary", path);
  assert.equal(bench.shims().length, 2);
  assert(isThere(`${states}/other`), "the runtime that was named by its path has not made the container");
  // Another daemon finds them again.
  bench.daemon = await bench.daemon.restart("SIGKILL");
  for (const id of ["plain", "named", "own", "other"]) {
    assert.equal(await bench.ask("tasks", "exec", "--exec-id", "x", id, "echo", id), `${id}\n`);
    await bench.ask("tasks", "rm", "-f", id);
    await bench.ask("containers", "rm", id);
  }
  await bench.assertNothingLeft();
});
