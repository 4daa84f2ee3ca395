/**
 * The same containers through barge, runc and crun on cgroup version 2.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Case } from "../case.ts";
import { writeGuestBundle } from "../guest_bundle.ts";
import type { Machine } from "../machine.ts";

/** Name → words of the runtime. */
export const runtimes: readonly (readonly [name: string, command: string])[] = [
  ["barge", "barge oci"],
  ["runc", "runc"],
  ["crun", "crun"],
];

/** Runs one script for each runtime, as `$R` in it, and gives its words by the runtime's name. */
async function withEach(machine: Machine, script: string, seconds = 500): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const [name, command] of runtimes) {
    const { code, stdout, stderr } = await machine.execute(`R="${command}"\n${script}`, { seconds });
    assert.equal(code, 0, `${name}: ${stdout}${stderr}`);
    found.set(name, stdout);
  }
  return found;
}

const limitFiles = [
  ...["memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpuset.cpus", "cpuset.mems", "pids.max"],
  ...["io.max", "hugetlb.2MB.max", "memory.high"],
];

/** A container's life by separate commands, with its limits, a change of them, and the freezer. */
const life = `
set -e
cd /guest/limits
C=/sys/fs/cgroup/guest/limits
show() { for f in ${limitFiles.join(" ")}; do echo "$f: $(cat $C/$f)"; done; }
$R create limits </dev/null >/guest/limits/out 2>&1
show
$R state limits | grep status
$R start limits
$R update --memory 67108864 --memory-swap 134217728 --pids-limit 50 --cpu-quota 20000 --cpu-period 100000 limits
show
$R pause limits
cat $C/cgroup.events
$R state limits | grep status
$R resume limits
cat $C/cgroup.events
$R exec limits cat /proc/self/cgroup
$R exec limits sh -c 'grep -c . /proc/1/cgroup; exit 7' || echo "code $?"
$R kill limits KILL
for i in $(seq 100); do $R state limits | grep -q stopped && break; sleep 0.2; done
$R delete limits
test -e $C && echo left || echo gone
`;

const noNewMemory = "mkdir -p /tmp/x; exec dd if=/dev/zero of=/dev/null bs=60M count=2";

/** Starts a container once its events are watched, and gives them when the command has been killed. */
const watched = `
cd /guest/oom
barge oci create oom </dev/null >out 2>&1 || { cat out; exit 1; }
barge oci events --interval 1s oom > events 2>&1 &
watcher=$!
for i in $(seq 600); do grep -q '"type":"stats"' events && break; sleep 0.1; done
barge oci start oom
for i in $(seq 600); do grep -q '"type":"oom"' events && break; sleep 0.1; done
cat events /sys/fs/cgroup/guest/oom/memory.events
kill $watcher
barge oci delete --force oom
`;

/** See the module. */
export const runtimeCases: readonly Case[] = [
  {
    name: "a container's whole life with limits is the same for barge, runc and crun",
    async run(machine) {
      await writeGuestBundle(machine, "/guest/limits", "exec sleep 1000", (spec) => {
        spec.linux.cgroupsPath = "/guest/limits";
        const { major, minor } = { major: 254, minor: 0 };
        spec.linux.resources = {
          devices: [{ allow: false, access: "rwm" }],
          memory: { limit: 33_554_432, swap: 50_331_648, reservation: 16_777_216 },
          cpu: { quota: 30_000, period: 60_000, cpus: "0", mems: "0" },
          pids: { limit: 40 },
          hugepageLimits: [{ pageSize: "2MB", limit: 4_194_304 }],
          blockIO: { throttleReadBpsDevice: [{ major, minor, rate: 1_048_576 }] },
          unified: { "memory.high": "30000000" },
        };
      });
      const found = await withEach(machine, life);
      const barge = found.get("barge")!;
      assert.match(
        barge,
        /memory\.max: 33554432\nmemory\.swap\.max: 16777216\nmemory\.low: 16777216\ncpu\.max: 30000 60000/,
      );
      assert.match(barge, /io\.max: 254:0 rbps=1048576 wbps=max/);
      assert.match(barge, /memory\.high: 29999104/);
      assert.match(barge, /frozen 1\n[^]*frozen 0\n[^]*code 7\ngone\n$/);
      assert.equal(barge, found.get("runc"));
      // crun writes the state in other lines.
      const withoutStatus = (text: string) => text.replaceAll(/^.*"status.*\n/gm, "");
      assert.equal(withoutStatus(barge), withoutStatus(found.get("crun")!));
    },
  },
  {
    name: "a command that takes more than memory.max is killed, and memory.events says so",
    async run(machine) {
      await writeGuestBundle(machine, "/guest/oom", noNewMemory, (spec) => {
        spec.linux.cgroupsPath = "/guest/oom";
        spec.linux.resources = { memory: { limit: 8 << 20, swap: 8 << 20 } };
      });
      // Kept after its end, so that the cgroup can be read.
      const found = await withEach(
        machine,
        "cd /guest/oom; $R run oom </dev/null; echo $?; test -e /sys/fs/cgroup/guest/oom && echo left; true",
      );
      assert.deepEqual([...found.values()], ["137\n", "137\n", "137\n"]);
      const events = await machine.succeed(watched, { seconds: 500 });
      assert.match(events, /"type":"oom"/);
      assert.match(events, /oom_kill 1/);
    },
  },
  {
    name: "devices that no rule allows are refused by the filter, in the same words as with runc and crun",
    async run(machine) {
      // Every runtime allows to make nodes. The kernel's log (1:11) is one that nothing allows to use, the null device is.
      const script = "exec 2>&1; mknod /tmp/log c 1 11; (cat < /tmp/log); echo x > /dev/null && echo fine";
      await writeGuestBundle(machine, "/guest/devices", script, (spec) => {
        spec.linux.cgroupsPath = "/guest/devices";
        spec.linux.resources = { devices: [{ allow: false, access: "rwm" }] };
        for (const set of ["bounding", "effective", "permitted"] as const) {
          spec.process.capabilities![set] = ["CAP_MKNOD", "CAP_SYS_ADMIN"];
        }
      });
      const found = await withEach(
        machine,
        "cd /guest/devices; rm -f /guest/rootfs/tmp/log; $R run devices </dev/null 2>&1",
      );
      const barge = found.get("barge")!;
      assert.match(barge, /^sh: can't open \/tmp\/log: Operation not permitted\nfine\n$/);
      assert.deepEqual([found.get("runc"), found.get("crun")], [barge, barge]);
    },
  },
  {
    name: "a container with a cgroup namespace may divide its own cgroup, and delete removes what is below",
    async run(machine) {
      const script = "mkdir /sys/fs/cgroup/inner && echo 0 > /sys/fs/cgroup/inner/cgroup.procs && " +
        "echo +pids > /sys/fs/cgroup/cgroup.subtree_control && cat /proc/self/cgroup /sys/fs/cgroup/inner/pids.current && " +
        "exec sleep 1000";
      await writeGuestBundle(machine, "/guest/nesting", script, (spec) => {
        spec.linux.cgroupsPath = "/guest/nesting";
        spec.linux.namespaces = [{ type: "pid" }, { type: "mount" }, { type: "uts" }, { type: "cgroup" }];
        for (const mount of spec.mounts) {
          if (mount.destination === "/sys/fs/cgroup") {
            mount.options = mount.options!.filter((option) => option !== "ro");
          }
        }
      });
      const nested = "cd /guest/nesting; $R run -d nesting </dev/null >out 2>&1; " +
        "for i in $(seq 600); do test $(grep -c . out) -ge 2 && break; sleep 0.1; done; cat out; " +
        "$R exec nesting cat /proc/self/cgroup; $R delete --force nesting; " +
        "test -e /sys/fs/cgroup/guest/nesting && echo left; true";
      const found = await withEach(machine, nested);
      assert.equal(found.get("barge"), found.get("runc"));
      assert.match(found.get("barge")!, /^0::\/inner\n[12]\n/);
    },
  },
];
