/**
 * Numbers about containers on the metrics page, compared with those of a stock containerd.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import type { DaemonKind } from "../daemon/daemon_fixture.ts";
import { image, startTaskBench } from "./task_fixture.ts";
import { patient } from "../patience.ts";

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Names with help and type of all metrics of containers, and the lines about processes. */
async function metricsOf(kind: DaemonKind): Promise<{ families: string[]; pids: string[] }> {
  const address = `127.0.0.1:${freePort()}`;
  await using bench = await startTaskBench({ kind, config: `[metrics]\naddress = "${address}"\n` });
  await bench.ask("run", "-d", image, "one", "sleep", "1000");
  const page = async () => (await (await fetch(`http://${address}/v1/metrics`)).text()).split("\n");
  // Stock reads the numbers of a new container a moment later.
  let lines = await page();
  for (let tries = 0; tries < patient(50) && !lines.some((line) => line.startsWith("container_pids")); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    lines = await page();
  }
  await bench.ask("tasks", "rm", "-f", "one");
  await bench.ask("containers", "rm", "one");
  assert(!(await page()).some((line) => line.startsWith("container_pids")), "numbers of a task that is gone");
  const families = lines.filter((line) => /^# (HELP|TYPE) container_/.test(line));
  const pids = lines.filter((line) => line.startsWith("container_pids_current"))
    // The number may count runtimes that are about to end.
    .map((line) => line.replaceAll(bench.namespace, "NS").replace(/[1-9]\d*$/, "N"));
  return { families, pids };
}

systemTest(
  "the metrics page tells of containers what stock containerd tells",
  ["busybox", "tar", "containerd", "containerd-shim-runc-v2", "runc", "ctr", "skopeo"],
  async () => {
    const stock = await metricsOf("stock");
    assert.deepEqual(await metricsOf("barge"), stock);
    assert.deepEqual(stock.pids, [
      'container_pids_current{container_id="one",namespace="NS",runtime="io.containerd.runc.v2"} N',
    ]);
  },
);
