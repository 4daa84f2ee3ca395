import assert from "node:assert/strict";
import type { Resources } from "../../../../api/oci/runtime_spec.ts";
import type { Value } from "../../../dbus/value.ts";
import { devicePolicy } from "../device_rules.ts";
import { annotationProperties } from "./annotation_properties.ts";
import { withRoundedQuota } from "./cpu_properties.ts";
import { deviceProperties } from "./device_properties.ts";
import type { UnitProperty } from "./property.ts";
import { resourceProperties } from "./resource_properties.ts";
import { scopeProperties } from "./scope_properties.ts";

type Printed = [name: string, signature: string, value: Value];

const infinity = 2n ** 64n - 1n;

function printed(properties: readonly UnitProperty[]): Printed[] {
  return properties.map(({ name, value }) => [name, value.signature, value.value]);
}

Deno.test("scopeProperties() are runc's", () => {
  const unit = { slice: "machine.slice", stem: "1", name: "libpod-1.scope" };
  assert.deepEqual(printed(scopeProperties({ unit, pid: 7, version: 2 })), [
    ["Description", "s", "libcontainer container 1"],
    ["Slice", "s", "machine.slice"],
    ["Delegate", "b", true],
    ["PIDs", "au", [7]],
    ["MemoryAccounting", "b", true],
    ["CPUAccounting", "b", true],
    ["IOAccounting", "b", true],
    ["TasksAccounting", "b", true],
    ["DefaultDependencies", "b", false],
  ]);
  const old = scopeProperties({ unit, pid: 7, version: 1 });
  assert(old.some(({ name }) => name === "BlockIOAccounting") && !old.some(({ name }) => name === "IOAccounting"));
});

const cases: { does: string; resources: Resources; version?: 1 | 2; systemd?: number; want: Printed[] }[] = [
  { does: "nothing for zeros", resources: { memory: { limit: 0, swap: 0 }, cpu: { shares: 0, quota: 0 } }, want: [] },
  {
    does: "memory, and swap as version 2 counts it",
    resources: { memory: { limit: 4096, swap: 12288, reservation: 1024 } },
    want: [["MemoryMax", "t", 4096n], ["MemoryLow", "t", 1024n], ["MemorySwapMax", "t", 8192n]],
  },
  {
    does: "no limit of memory",
    resources: { memory: { limit: -1 } },
    want: [["MemoryMax", "t", infinity], ["MemorySwapMax", "t", infinity]],
  },
  {
    does: "memory of version 1",
    resources: { memory: { limit: 4096, swap: 8192, reservation: 1024 } },
    version: 1,
    want: [["MemoryLimit", "t", 4096n]],
  },
  {
    does: "shares as a weight, and a quota rounded up to whole per cents",
    resources: { cpu: { shares: 1024, quota: 12_345, period: 50_000 } },
    want: [["CPUWeight", "t", 100n], ["CPUQuotaPeriodUSec", "t", 50_000n], ["CPUQuotaPerSecUSec", "t", 250_000n]],
  },
  { does: "no quota", resources: { cpu: { quota: -1 } }, want: [["CPUQuotaPerSecUSec", "t", infinity]] },
  {
    does: "shares of version 1",
    resources: { cpu: { shares: 512, quota: 50_000 }, blockIO: { weight: 300 } },
    version: 1,
    want: [["CPUShares", "t", 512n], ["CPUQuotaPerSecUSec", "t", 500_000n], ["BlockIOWeight", "t", 300n]],
  },
  {
    does: "idle",
    resources: { cpu: { idle: 1, shares: 2048 } },
    want: [["CPUWeight", "t", 0n]],
  },
  {
    does: "processors and memory nodes as masks",
    resources: { cpu: { cpus: "0-1,9", mems: "0" } },
    want: [["AllowedCPUs", "ay", new Uint8Array([3, 2])], ["AllowedMemoryNodes", "ay", new Uint8Array([1])]],
  },
  {
    does: "only what an old systemd knows",
    resources: { cpu: { idle: 1, shares: 1024, cpus: "0", quota: 1000, period: 10_000 } },
    systemd: 239,
    want: [["CPUWeight", "t", 100n], ["CPUQuotaPerSecUSec", "t", 100_000n]],
  },
  { does: "processes", resources: { pids: { limit: 5 } }, want: [["TasksMax", "t", 5n]] },
  { does: "no limit of processes", resources: { pids: { limit: -1 } }, want: [["TasksMax", "t", infinity]] },
  { does: "one process", resources: { pids: { limit: 0 } }, want: [["TasksMax", "t", 1n]] },
  {
    does: "files of version 2",
    resources: {
      unified: {
        "cpu.max": "max 20000",
        "cpu.weight": "7",
        "memory.high": "max",
        "memory.min": "4096\n",
        "memory.low": "1G",
        "memory.oom.group": "1",
        "pids.max": "9",
        "io.bfq.weight": "10",
      },
    },
    systemd: 253,
    want: [
      ["CPUQuotaPeriodUSec", "t", 20_000n],
      ["CPUQuotaPerSecUSec", "t", infinity],
      ["CPUWeight", "t", 7n],
      ["MemoryHigh", "t", infinity],
      ["MemoryMin", "t", 4096n],
      ["OOMPolicy", "s", "kill"],
      ["TasksMax", "t", 9n],
    ],
  },
  {
    does: "processors and idle of version 2's files",
    resources: { unified: { "cpu.idle": "1", "cpuset.cpus": "2", "cpu.max": "5000", "memory.oom.group": "1" } },
    systemd: 252,
    want: [["CPUWeight", "t", 0n], ["AllowedCPUs", "ay", new Uint8Array([4])], ["CPUQuotaPerSecUSec", "t", 50_000n]],
  },
];

for (const { does, resources, version = 2, systemd = 252, want } of cases) {
  Deno.test(`resourceProperties() gives ${does}`, () => {
    assert.deepEqual(printed(resourceProperties(resources, version, systemd)), want);
  });
}

Deno.test("resourceProperties() refuses lists of processors that are none", () => {
  for (const cpus of ["x", "2-1", ",", "0-9999", "1-"]) {
    assert.throws(() => resourceProperties({ cpu: { cpus } }, 2, 252), /cannot use|empty value/, cpus);
  }
});

Deno.test("withRoundedQuota() makes the files say what systemd would write", () => {
  assert.deepEqual(withRoundedQuota({ cpu: { quota: 12_345 } }), { cpu: { quota: 13_000 } });
  assert.deepEqual(withRoundedQuota({ cpu: { quota: 12_345, period: 50_000 } }), {
    cpu: { quota: 12_500, period: 50_000 },
  });
  for (const quota of [50_000, -1, 0]) assert.deepEqual(withRoundedQuota({ cpu: { quota } }), { cpu: { quota } });
});

const facts = {
  version: 2 as 1 | 2,
  systemd: 252,
  groups: "Character devices:\n136 pts\n\nBlock devices:\n  8 sd\n",
  exists: () => false,
};

Deno.test("deviceProperties() names nodes, majors and whole kinds", () => {
  const [policy, empty, list] = printed(deviceProperties(devicePolicy([]), facts));
  assert.deepEqual(policy, ["DevicePolicy", "s", "strict"]);
  assert.deepEqual(empty, ["DeviceAllow", "a(ss)", []]);
  // The specification's value is a list of pairs.
  const entries = (list?.[2] as [string, string][]).map((entry) => entry.join(" "));
  for (const entry of ["block-* m", "char-* m", "/dev/char/1:3 rwm", "char-136 rwm"]) {
    assert(entries.includes(entry), entry);
  }
});

Deno.test("deviceProperties() asks an old systemd only for what that can look up", () => {
  const names = (old: typeof facts): string[] => {
    const list = printed(deviceProperties(devicePolicy([{ allow: true, type: "b", major: 8, access: "rw" }]), old))[2];
    return (list?.[2] as [string, string][]).map(([name]) => name);
  };
  const without = names({ ...facts, systemd: 239 });
  assert(without.includes("char-pts") && without.includes("block-sd") && !without.includes("/dev/char/1:3"));
  assert(names({ ...facts, systemd: 239, exists: () => true }).includes("/dev/char/1:3"));
});

Deno.test("deviceProperties() allows everything where the policy does, or where the container's own filter stays", () => {
  const everything = [["DevicePolicy", "s", "auto"], ["DeviceAllow", "a(ss)", []]];
  assert.deepEqual(printed(deviceProperties({ allow: true, exceptions: [] }, { ...facts, version: 1 })), everything);
  const most = { allow: true, exceptions: [{ type: "c" as const, major: 5, minor: 1, access: 7 }] };
  assert.deepEqual(printed(deviceProperties(most, facts)), everything);
  assert.deepEqual(printed(deviceProperties(most, { ...facts, version: 1 })), [
    ["DevicePolicy", "s", "strict"],
    ["DeviceAllow", "a(ss)", []],
  ]);
});

Deno.test("annotationProperties() reads GVariant's text form, and seconds as microseconds", () => {
  const annotations = {
    "org.systemd.property.After": "['a.service', \"b\\n\"]",
    "org.systemd.property.CollectMode": "'inactive-or-failed'",
    "org.systemd.property.TimeoutStopUSec": "uint64 123",
    "org.systemd.property.RuntimeMaxSec": "1.5",
    "org.systemd.property.SendSIGHUP": "true",
    "org.systemd.property.OOMScoreAdjust": "-0x10",
    "org.systemd.property.Mask": "@ay [1, 0x2]",
    "org.systemd.property.Bytes": "b'a\\101'",
    "org.systemd.property.Empty": "@as []",
    "org.systemd.property.Path": "objectpath '/a'",
    other: "not a value",
  };
  assert.deepEqual(printed(annotationProperties(annotations)), [
    ["After", "as", ["a.service", "b\n"]],
    ["CollectMode", "s", "inactive-or-failed"],
    ["TimeoutStopUSec", "t", 123n],
    ["RuntimeMaxUSec", "t", 1_500_000n],
    ["SendSIGHUP", "b", true],
    ["OOMScoreAdjust", "i", -16],
    ["Mask", "ay", new Uint8Array([1, 2])],
    ["Bytes", "ay", new Uint8Array([97, 65, 0])],
    ["Empty", "as", []],
    ["Path", "o", "/a"],
  ]);
});

Deno.test("annotationProperties() refuses in runc's words what it cannot read", () => {
  const refusals: [name: string, text: string, message: RegExp][] = [
    ["a1b", "1", /^annotation org\.systemd\.property\.a1b name incorrect: contains non-alphabetic character$/],
    ["ab", "1", /^annotation org\.systemd\.property\.ab name incorrect: too short$/],
    ["Abc", "xx yy", /^annotation org\.systemd\.property\.Abc=xx yy value parse error: unrecognized type "xx"$/],
    ["FooSec", "true", /^annotation org\.systemd\.property\.FooSec=true value parse error: not a number$/],
    ...[
      "",
      "'",
      "[",
      "[1",
      "[]",
      "[1, 'a']",
      "1 2",
      "byte 256",
      "uint32 -1",
      "string 1",
      "@as 1",
      "089",
      "1x",
      "["
        .repeat(9),
    ].map((text): [string, string, RegExp] => ["Abc", text, /value parse error: /]),
  ];
  for (const [name, text, message] of refusals) {
    assert.throws(
      () => annotationProperties({ [`org.systemd.property.${name}`]: text }),
      { message },
      `${name}=${text}`,
    );
  }
});
