import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { isFailure } from "../../../api/errors.ts";
import type { DeviceRule } from "../../../api/oci/runtime_spec.ts";
import { deviceLines } from "./device_lines.ts";
import { allowsEverything, describe, devicePolicy } from "./device_rules.ts";

const denyAll: DeviceRule = { allow: false, access: "rwm" };
const allowAll: DeviceRule = { allow: true, access: "rwm" };
const always = [
  "b *:* m",
  "c *:* m",
  "c 1:3 rwm",
  "c 1:5 rwm",
  "c 1:7 rwm",
  "c 1:8 rwm",
  "c 1:9 rwm",
  "c 5:0 rwm",
  "c 5:2 rwm",
  "c 10:200 rwm",
  "c 136:* rwm",
];

function exceptions(...rules: DeviceRule[]): string[] {
  return devicePolicy(rules).exceptions.map(describe);
}

Deno.test("devicePolicy() without rules, or with the one that denies all, allows what every container has", () => {
  for (const rules of [[], [denyAll], [allowAll, denyAll]]) {
    const policy = devicePolicy(rules);
    equal(policy.allow, false);
    deepEqual(policy.exceptions.map(describe), always);
  }
});

Deno.test("devicePolicy() drops the rule of a standard device that the spec makes itself", () => {
  const policy = devicePolicy([denyAll], [{ path: "/dev/null" }, { path: "/dev/fuse" }]);
  deepEqual(policy.exceptions.map(describe), always.filter((line) => line !== "c 1:3 rwm"));
});

Deno.test("devicePolicy() that allows all has no exceptions", () => {
  equal(allowsEverything(devicePolicy([denyAll, allowAll])), true);
  equal(allowsEverything(devicePolicy([allowAll, { allow: true, type: "a", access: "r" }])), true);
  equal(allowsEverything(devicePolicy([denyAll])), false);
});

Deno.test("devicePolicy() merges accesses and drops what is covered", () => {
  const fuse = { allow: true, type: "c", major: 10, minor: 229 };
  deepEqual(
    exceptions({ ...fuse, access: "r" }, { ...fuse, access: "w" }).filter((line) => line.startsWith("c 10:2")),
    ["c 10:200 rwm", "c 10:229 rw"],
  );
  deepEqual(
    exceptions({ ...fuse, access: "r" }, { allow: true, type: "c", major: 10, access: "rw" })
      .filter((line) => line.startsWith("c 10:")),
    ["c 10:* rw", "c 10:200 rwm"],
  );
});

Deno.test("devicePolicy() takes type a for everything, whatever else the rule says", () => {
  for (const part of [{ access: "r" }, { major: 1, access: "rwm" }, { major: 1, minor: 5, access: "w" }]) {
    equal(allowsEverything(devicePolicy([denyAll, { allow: true, type: "a", ...part }])), true);
    deepEqual(exceptions(allowAll, { allow: false, ...part }), always);
  }
});

Deno.test("devicePolicy() passes over letters that are no access, and allows nothing by them", () => {
  deepEqual(exceptions({ allow: true, type: "c", major: 77, access: "a" }), always);
  ok(exceptions({ allow: true, type: "c", major: 77, access: "rx" }).includes("c 77:* r"));
});

Deno.test("devicePolicy() lets the last rule decide", () => {
  const disk = { type: "b", major: 8, minor: 0 };
  deepEqual(exceptions({ ...disk, allow: true, access: "rw" }, { ...disk, allow: false, access: "w" })[1], "b 8:0 r");
  deepEqual(exceptions({ ...disk, allow: true, access: "r" }, { type: "b", allow: false, access: "rwm" }), always);
  deepEqual(exceptions(allowAll, { ...disk, allow: false, access: "rwm" }), ["b 8:0 rw"]);
});

Deno.test("devicePolicy() refuses to take a part out of a broader rule", () => {
  const broad = { allow: true, type: "c", major: 10, access: "rwm" };
  throws(
    () => devicePolicy([broad, { allow: false, type: "c", major: 10, minor: 229, access: "w" }]),
    (error) => isFailure(error, "InvalidArgument") && /"c 10:229 w".*"c 10:\* rwm"/.test(error.message),
  );
});

Deno.test("devicePolicy() keeps a broad denial although every container may use a part of it", () => {
  deepEqual(exceptions(allowAll, { allow: false, type: "c", major: 10, access: "rw" }), ["c 10:* rw"]);
  deepEqual(exceptions(allowAll, { allow: false, type: "c", major: 1, minor: 3, access: "rw" }), []);
});

Deno.test("devicePolicy() refuses malformed rules", () => {
  const malformed: [DeviceRule, RegExp][] = [
    [{ allow: true, type: "c", major: 1 }, /no access/],
    [{ allow: true, access: "" }, /no access/],
    [{ allow: true, type: "p", access: "r" }, /type "p"/],
    [{ allow: true, type: "c", major: 2 ** 32, access: "r" }, /major number 4294967296.*0 to 4294967295/],
    [{ allow: true, type: "c", major: 1, minor: -2, access: "r" }, /minor number -2/],
  ];
  for (const [rule, message] of malformed) {
    throws(() => devicePolicy([rule]), (error) => isFailure(error, "InvalidArgument") && message.test(error.message));
  }
});

Deno.test("deviceLines() denies all and then allows, where all was allowed", () => {
  deepEqual(deviceLines(devicePolicy([denyAll]), "a *:* rwm\n"), [
    { file: "devices.deny", line: "a" },
    ...always.map((line) => ({ file: "devices.allow", line })),
  ]);
});

Deno.test("deviceLines() writes nothing where everything is and stays allowed", () => {
  deepEqual(deviceLines(devicePolicy([allowAll]), "a *:* rwm\n"), []);
});

Deno.test("deviceLines() writes only the difference to a list", () => {
  const list = [...always.filter((line) => line !== "c 1:3 rwm"), "c 10:229 rwm"].join("\n") + "\n";
  deepEqual(deviceLines(devicePolicy([denyAll]), list), [
    { file: "devices.deny", line: "c 10:229 rwm" },
    { file: "devices.allow", line: "c 1:3 rwm" },
  ]);
});

Deno.test("deviceLines() denies the exceptions of a policy that allows by default", () => {
  const policy = devicePolicy([allowAll, { allow: false, type: "b", major: 8, access: "rw" }]);
  deepEqual(deviceLines(policy, "c 1:3 rwm\n"), [
    { file: "devices.allow", line: "a" },
    { file: "devices.deny", line: "b 8:* rw" },
  ]);
});
