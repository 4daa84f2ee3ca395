/**
 * Containers whose cgroups systemd makes, through barge and runc. The cases hold on cgroup version 2 and on hybrid hosts.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { FullSpec } from "../../bundle.ts";
import type { Case } from "../case.ts";
import { writeGuestBundle } from "../guest_bundle.ts";
import type { Machine } from "../machine.ts";

const directory = "/guest/systemd";

/** What the unit says of itself. CPUWeight is compared where both runtimes' formulas agree. */
const properties = [
  ...["Description", "Slice", "ControlGroup", "ActiveState", "SubState", "Delegate", "DefaultDependencies"],
  ...["MemoryAccounting", "CPUAccounting", "IOAccounting", "BlockIOAccounting", "TasksAccounting", "TasksMax"],
  ...["MemoryMax", "MemoryLow", "MemoryHigh", "MemoryMin", "MemorySwapMax", "MemoryLimit", "CPUWeight", "CPUShares"],
  ...["CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec", "AllowedCPUs", "AllowedMemoryNodes", "DevicePolicy", "DeviceAllow"],
  ...["CollectMode", "TimeoutStopUSec"],
];

/** What the kernel says, of either version. */
const files = [
  ...["memory.max", "memory.low", "memory.high", "memory.swap.max", "cpu.max", "cpu.weight", "pids.max", "cpuset.cpus"],
  ...["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes", "cpu.shares"],
  ...["cpu.cfs_quota_us", "cpu.cfs_period_us", "devices.list"],
];

interface Row {
  /** What the unit is for. */
  readonly does: string;
  readonly unit: string;
  /** Flags of `update`, where it is part of the row. */
  readonly update?: string;
  change(spec: FullSpec, isPure: boolean): void;
}

const rows: readonly Row[] = [{
  does: "limits, an update, and properties from annotations",
  unit: "box-one.scope",
  update: "--memory 67108864 --memory-swap 134217728 --pids-limit 20 --cpu-quota 20000",
  change: (spec) => {
    spec.linux.cgroupsPath = "ab-cd.slice:box:one";
    spec.linux.resources = {
      ...spec.linux.resources,
      memory: { limit: 104_857_600, reservation: 52_428_800, swap: 209_715_200 },
      cpu: { shares: 2, quota: 50_000, period: 100_000, cpus: "0", mems: "0" },
      pids: { limit: 50 },
    };
    spec.annotations = {
      "org.systemd.property.CollectMode": "'inactive-or-failed'",
      "org.systemd.property.TimeoutStopSec": "5",
    };
  },
}, {
  does: "the default name, and no limits",
  unit: "runc-box.scope",
  change: (spec) => delete spec.linux.cgroupsPath,
}, {
  does: "files of version 2, and devices",
  unit: "box-three.scope",
  change: (spec, isPure) => {
    spec.linux.cgroupsPath = ":box:three";
    spec.linux.resources = {
      devices: [{ allow: false, access: "rwm" }, { allow: true, type: "c", major: 10, minor: 229, access: "rw" }],
      ...(isPure ? { unified: { "memory.high": "90000000", "pids.max": "30", "cpu.max": "30000 100000" } } : {}),
    };
  },
}];

/** The first process is alive until it is told to end. */
const waiting = "exec sleep 1000";

/** One runtime's words for all rows, a block for each. */
async function observe(machine: Machine, runtime: string): Promise<string> {
  const blocks = rows.map(({ unit, update }, index) => `
cd ${directory}/${index}
$R --systemd-cgroup create box </dev/null >../out 2>&1 || cat ../out
look ${unit}
${update === undefined ? "" : `$R update ${update} box; look ${unit}`}
$R delete --force box
systemctl show ${unit} -p LoadState; find /sys/fs/cgroup -name ${unit}`);
  return await machine.succeed(
    `R="${runtime}"
look() {
  systemctl show $1 -p ${properties.join(",")} | sort
  group=$(systemctl show $1 -p ControlGroup --value)
  for d in /sys/fs/cgroup /sys/fs/cgroup/*; do
    c=$d$group
    test -e $c/cgroup.procs || continue
    for f in ${files.join(" ")}; do test -e $c/$f && sort $c/$f | sed "s|^|$d/$f: |"; done
    echo "$d: $(wc -l <$c/cgroup.procs) process"
  done
}
${blocks.join("\n")}
true`,
    { seconds: 600 },
  );
}

/**
 * A line without what is known to differ: how stock runc 1.1 names a major number, which newer ones name as barge does;
 * devices that it leaves out because this machine has no node for them; hierarchies that it does not join.
 */
function comparable(text: string): string[] {
  return text.split("\n").map((line) => line.replace("char-pts ", "char-136 "))
    .filter((line) => !/^DeviceAllow=\/dev\/char\/10:|devices.list: c 10:|\/(devices|misc|unified): \d/.test(line));
}

async function isPure(machine: Machine): Promise<boolean> {
  return (await machine.succeed("stat --file-system --format %T /sys/fs/cgroup")).trim() === "cgroup2fs";
}

/** A script for the runtime `$R` in the directory of a bundle; gives what it wrote. */
async function play(machine: Machine, path: string, script: string): Promise<string> {
  await writeGuestBundle(machine, directory, waiting, (spec) => {
    spec.linux.cgroupsPath = path;
    // Not the capability but the filter of devices is to be seen.
    for (const set of Object.values(spec.process.capabilities ?? {})) set.push("CAP_MKNOD");
  });
  const { stdout, stderr } = await machine.execute(`cd ${directory}; R="barge oci"\n${script}`, { seconds: 600 });
  return stdout + stderr;
}

const containerdConfiguration = `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${directory}/socket"
`;

/** ctr sends runtime options only to a runtime of the stock name: the shim is linked as that. */
const shimLife = `
cd ${directory}; mkdir -p bin; ln -sf /usr/local/bin/barge bin/containerd-shim-runc-v2
PATH=${directory}/bin:$PATH containerd --config config.toml >containerd.log 2>&1 & daemon=$!
C="timeout 300 ctr --address ${directory}/socket"
for i in $(seq 100); do $C version >/dev/null 2>&1 && break; sleep 0.2; done
$C run --runc-systemd-cgroup --cgroup ab-cd.slice:ctr:unit --detach --rootfs /guest/rootfs unit /bin/sleep 1000
systemctl show ctr-unit.scope -p ControlGroup
$C task exec --exec-id more unit /bin/cat /proc/1/cgroup | grep -m1 -o '/ab.slice.*'
$C task kill --signal 9 unit
for i in $(seq 200); do $C task ls | grep -q STOPPED && break; sleep 0.2; done
$C task rm unit >/dev/null 2>&1; $C container rm unit
systemctl show ctr-unit.scope -p LoadState
test -z "$(find /sys/fs/cgroup -name ctr-unit.scope)" && echo nothing left
kill $daemon; wait $daemon; rm -rf ${directory}
`;

/** See the module. */
export const systemdCases: readonly Case[] = [{
  name: "units that the systemd driver makes, changes and removes are runc's",
  async run(machine) {
    const pure = await isPure(machine);
    for (const [index, { change }] of rows.entries()) {
      await writeGuestBundle(machine, `${directory}/${index}`, waiting, (spec) => {
        change(spec, pure);
        // Of other interest: an old kernel's answers are the same everywhere.
        spec.linux.maskedPaths = [];
      });
    }
    const [ours, stock] = [comparable(await observe(machine, "barge oci")), comparable(await observe(machine, "runc"))];
    assert.deepEqual(ours, stock);
    // Nothing is equal because nothing is there.
    for (
      const line of ["Slice=ab-cd.slice", "Slice=system.slice", "TasksMax=50", "TasksMax=20", "LoadState=not-found"]
    ) {
      assert(ours.includes(line), `no ${line} in ${ours.join("\n")}`);
    }
  },
}, {
  name: "a unit lasts as long as its container, and systemd's reload changes nothing in it",
  async run(machine) {
    const said = await play(
      machine,
      "guest.slice:box:life",
      `
$R --systemd-cgroup run --detach life </dev/null >out 2>&1 || cat out
node='mknod /tmp/loop b 7 0; cat /tmp/loop'
$R exec life sh -c "$node" 2>&1 | cat; $R exec life sh -c 'cat /dev/null && echo null'
systemctl daemon-reload; $R update --pids-limit 30 life
$R exec life sh -c "$node" 2>&1 | cat; $R exec life sh -c 'cat /dev/null && echo null'
$R pause life; $R state life | grep status; $R resume life
$R --systemd-cgroup create other </dev/null 2>&1 | sed "s/.*cgroup is/cgroup is/"
systemctl show box-life.scope -p ActiveState
$R kill life KILL; for i in $(seq 60); do $R state life | grep stopped >/dev/null && break; sleep 0.5; done
$R delete life; $R list --quiet
systemctl show box-life.scope -p LoadState -p ActiveState; find /sys/fs/cgroup -name box-life.scope
`,
    );
    const denied = "cat: can't open '/tmp/loop': Operation not permitted\nnull\n";
    assert.equal(
      said,
      `${denied}mknod: /tmp/loop: File exists\n${denied}  "status": "paused",\n` +
        'cgroup is not empty: 1 process(es) found"\nActiveState=active\nLoadState=not-found\nActiveState=inactive\n',
    );
  },
}, {
  name: "what systemd refuses is said, and nothing of the container is left",
  async run(machine) {
    const refusals: [path: string, annotation: string | undefined, message: string][] = [
      ["a--b.slice:box:bad", undefined, "invalid slice name: a--b.slice"],
      ["ab.slice:box:ab-cd.slice", undefined, 'start unit \\"ab-cd.slice\\": a slice has no processes'],
      [":box:bad", "org.systemd.property.Nonsense", 'start unit \\"box-bad.scope\\": Cannot set property Nonsense'],
    ];
    for (const [path, annotation, message] of refusals) {
      await writeGuestBundle(machine, directory, waiting, (spec) => {
        spec.linux.cgroupsPath = path;
        if (annotation !== undefined) spec.annotations = { [annotation]: "true" };
      });
      const script = `cd ${directory}; barge oci --systemd-cgroup run bad </dev/null`;
      const { code, stderr } = await machine.execute(script);
      assert.equal(code, 1);
      assert(stderr.includes(message), stderr);
      const left = await machine.succeed("barge oci list --quiet; find /sys/fs/cgroup -name box-bad.scope");
      assert.equal(left, "");
    }
  },
}, {
  name: "a runtime that is killed while systemd makes the unit leaves what delete needs, and no process",
  async run(machine) {
    // The runtime waits for a bus that has stopped, and its child for the unit.
    const said = await play(
      machine,
      ":box:killed",
      `
bus=$(systemctl show dbus.service -p MainPID --value)
kill -STOP $bus
$R --systemd-cgroup create killed </dev/null >out 2>&1 &
disown $!
for i in $(seq 100); do grep -q '"pid":[1-9]' /run/barge/oci/killed/state.json 2>/dev/null && break; sleep 0.2; done
pid=$(grep -o '"pid":[0-9]*' /run/barge/oci/killed/state.json | cut -d: -f2)
test -e /proc/$pid && echo waits
kill -9 $(pgrep -f 'create killed'); kill -CONT $bus
for i in $(seq 100); do test -e /proc/$pid || break; sleep 0.2; done
test -e /proc/$pid || echo ended
$R delete --force killed; $R list --quiet
systemctl show box-killed.scope -p LoadState; find /sys/fs/cgroup -name box-killed.scope
`,
    );
    assert.equal(said, "waits\nended\nLoadState=not-found\n");
  },
}, {
  name: "our shim, asked for SystemdCgroup by stock containerd, has its containers in units",
  async run(machine) {
    await writeGuestBundle(machine, directory, "true");
    await machine.write(`${directory}/config.toml`, containerdConfiguration);
    const { stdout, stderr } = await machine.execute(shimLife, { seconds: 600 });
    const path = "/ab.slice/ab-cd.slice/ctr-unit.scope";
    assert.equal(
      stdout + stderr,
      `ControlGroup=${path}\n${path}\nLoadState=not-found\nnothing left\n`,
    );
  },
}];

/** The one that is worth another machine, where version 1 has the controllers: it looks at every file of theirs. */
export const hybridCases = systemdCases.slice(0, 1);
