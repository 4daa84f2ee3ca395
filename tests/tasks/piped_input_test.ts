/**
 * Input that is written and over before its client has heard of the task: stock ctr's end of input is told to the task
 * only where that is known by then (with containerd's shim most of these runs hang).
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import type { DaemonKind } from "../daemon/daemon_fixture.ts";
import { ownRuntime, startOwnShimBench } from "./own_shim_fixture.ts";
import { image } from "./task_fixture.ts";

const programs = ["busybox", "tar", "ctr", "skopeo"];
const kinds: readonly [DaemonKind, string, readonly string[]][] = [
  ["barge", "barge's daemon", []],
  ["stock", "stock containerd", ["containerd"]],
];

for (const [kind, name, needs] of kinds) {
  systemTest(
    `what is piped into a container arrives with its end, under ${name}`,
    [...programs, ...needs],
    async () => {
      await using bench = await startOwnShimBench({ kind });
      for (let round = 0; round < 5; round++) {
        const words = ["run", "--rm", "--runtime", ownRuntime, image, `c${round}`, "wc", "-c"];
        assert.equal((await bench.ctrWith({ stdin: "123" }, ...words)).stdout.trim(), "3");
      }
      await bench.assertNothingLeft();
    },
  );
}
