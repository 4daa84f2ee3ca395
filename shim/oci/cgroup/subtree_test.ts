import assert from "node:assert/strict";
import { dig } from "../../../ffi/deep_fixture.ts";
import { readHierarchies } from "./hierarchies.ts";
import { processesIn, removeSubtree } from "./subtree.ts";

/** More than a path can name; each level costs the kernel some memory. */
const depth = 2_500;

function place(): string | undefined {
  // One without limits first: a cgroup of memory costs the kernel much more.
  const found = readHierarchies().toSorted((a, b) => a.controllers.length - b.controllers.length);
  for (const { mountpoint } of found) {
    try {
      const path = `${mountpoint}/barge-deep-${Deno.pid}`;
      Deno.mkdirSync(path);
      return path;
    } catch {
      // Not ours to write to: perhaps another one.
    }
  }
  return undefined;
}

const path = place();

Deno.test({
  name:
    `processesIn() and removeSubtree() reach ${depth} cgroups in each other, with few descriptors (needs writable cgroups)`,
  ignore: path === undefined,
  fn: async () => {
    let busy: Deno.ChildProcess | undefined;
    try {
      for (const name of ["a", "b"]) Deno.mkdirSync(`${path}/${name}`);
      dig(path!, depth, "d", (innermost) => {
        busy = new Deno.Command("sleep", { args: ["600"] }).spawn();
        Deno.writeTextFileSync(`/proc/self/fd/${innermost}/cgroup.procs`, String(busy.pid), { create: false });
      });
      assert.deepEqual(processesIn(path!), [busy!.pid]);
      assert.equal(await removeSubtree(path!), false);
      busy!.kill("SIGKILL");
      await busy!.status;
      busy = undefined;
      const end = Date.now() + 10_000;
      while (!(await removeSubtree(path!)) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
      assert.throws(() => Deno.lstatSync(path!), Deno.errors.NotFound);
      assert.deepEqual(processesIn(path!), []);
      assert.equal(await removeSubtree(path!), true);
    } finally {
      busy?.kill("SIGKILL");
      await removeSubtree(path!);
    }
  },
});
