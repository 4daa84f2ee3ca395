/**
 * Stock containerd in the virtual machine, with our shim and with its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Case } from "../case.ts";
import { writeGuestBundle } from "../guest_bundle.ts";
import { loadProfile } from "./apparmor.ts";

const configuration = `version = 2
root = "/guest/ctd/root"
state = "/guest/ctd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "/guest/ctd/socket"
`;

const shell = `
set -e
export PATH=$PATH:/usr/local/bin
C="timeout 300 ctr --address /guest/ctd/socket"
`;

const start = `
mkdir -p /guest/ctd
containerd --config /guest/ctd/config.toml >/guest/ctd/log 2>&1 & echo $! >/guest/ctd/pid
for i in $(seq 100); do timeout 30 ctr --address /guest/ctd/socket version >/dev/null 2>&1 && exit; sleep 0.5; done
cat /guest/ctd/log; exit 1
`;

const life = `${shell}
$C run --runtime $S --rm --rootfs /guest/rootfs once /bin/sh -c 'echo said; exit 3' || echo "code $?"
$C run --runtime $S --detach --memory-limit 67108864 --rootfs /guest/rootfs long /bin/sh -c 'exec /bin/sleep 1000'
grep -o 'default/long' /proc/$($C task ls | grep long | tr -s ' ' | cut -d' ' -f2)/cgroup
$C task metrics --format json long > /guest/ctd/metrics
$C task exec --exec-id more long /bin/cat /proc/self/cgroup
$C task pause long
$C task ls | grep -o 'PAUSED'
$C task resume long
$C task kill --signal 9 long
for i in $(seq 200); do $C task ls | grep -q STOPPED && break; sleep 0.2; done
$C task rm long || echo "code $?"
$C container rm long
find /sys/fs/cgroup/default -name long 2>/dev/null
$C run --runtime $S --apparmor-profile guest-box --rm --rootfs /guest/rootfs boxed /bin/cat /proc/self/attr/current
`;

/** What does not change from one container to the next in `ctr task metrics`: the sections and the limits. */
function lasting(text: string): unknown {
  // Containerd's JSON of cgroups.v2.Metrics, without what is zero.
  const metrics = JSON.parse(text) as {
    pids: { limit: number };
    memory: { usage_limit: number; swap_limit: number };
    hugetlb: { pagesize: string; max: number }[];
  };
  const { usage_limit, swap_limit } = metrics.memory;
  const hugetlb = metrics.hugetlb.map(({ pagesize, max }) => `${pagesize} ${max}`).sort();
  return { sections: Object.keys(metrics).sort(), pids: metrics.pids.limit, usage_limit, swap_limit, hugetlb };
}

/** See the module. */
export const containerdCases: readonly Case[] = [{
  name: "stock containerd leads a container's life with our shim as with its own, counters and AppArmor included",
  async run(machine) {
    await writeGuestBundle(machine, "/guest/ctd", "true");
    await machine.write("/guest/ctd/config.toml", configuration);
    await loadProfile(machine);
    await machine.succeed(start);
    try {
      const said: string[] = [];
      const counters: string[] = [];
      for (const shim of ["io.containerd.ts.v2", "io.containerd.runc.v2"]) {
        said.push(await machine.succeed(`S=${shim}${life}`, { seconds: 600 }));
        counters.push(await machine.succeed("cat /guest/ctd/metrics"));
      }
      assert.match(said[0]!, /^said\ncode 3\ndefault\/long\n0::\/default\/long\nPAUSED\nguest-box \(enforce\)\n$/);
      assert.equal(said[0], said[1]);
      assert.deepEqual(lasting(counters[0]!), lasting(counters[1]!));
    } finally {
      await machine.execute("kill $(cat /guest/ctd/pid); sleep 1; rm -rf /guest/ctd");
    }
  },
}];
