/**
 * A shim that gets hardly any of the processor, as by a limit on the cgroup that it was put into.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { left, listed, nothingLeft, programs, run, shimsOf, until, withOwnShim } from "./handover_fixture.ts";

const hierarchy = "/sys/fs/cgroup/cpu";
const canStarve = await Deno.stat(`${hierarchy}/cpu.cfs_quota_us`).then(() => true, () => false);

systemTest(
  "a task of a shim that gets a thousandth of a processor can be ended and deleted, and the other goes on",
  canStarve ? programs : [...programs, "cgroup version 1 with quotas"],
  () =>
    withOwnShim(async (bench) => {
      for (const id of ["one", "two"]) await run(bench, id, "sh", "-c", "trap '' TERM; sleep 1000");
      for (const id of ["one", "two"]) await left(bench, id);
      const [shim, ...others] = shimsOf(bench);
      assert(shim !== undefined && others.length === 0);
      const cgroup = `${hierarchy}/${bench.namespace}-starved`;
      await Deno.mkdir(cgroup);
      try {
        await Deno.writeTextFile(`${cgroup}/cpu.cfs_period_us`, "1000000");
        await Deno.writeTextFile(`${cgroup}/cpu.cfs_quota_us`, "1000");
        await Deno.writeTextFile(`${cgroup}/cgroup.procs`, String(shim));
        // It has some seconds for what takes it some milliseconds; else it is replaced.
        await bench.ask("tasks", "rm", "-f", "one");
        await Deno.writeTextFile(`${cgroup}/cpu.cfs_quota_us`, "-1");
        await listed(bench, /^two .*RUNNING$/m);
        await bench.ask("tasks", "rm", "-f", "two");
      } finally {
        await Deno.writeTextFile(`${cgroup}/cpu.cfs_quota_us`, "-1");
        for (const pid of shimsOf(bench)) Deno.kill(pid, "SIGTERM");
        await until("the starved shim has ended", () => Deno.readTextFileSync(`${cgroup}/cgroup.procs`) === "");
        await Deno.remove(cgroup);
      }
      await bench.ask("containers", "rm", "one", "two");
      await nothingLeft(bench);
    }),
);
