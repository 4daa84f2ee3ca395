import { deepStrictEqual as equal, ok, throws } from "node:assert/strict";
import { type Code, isFailure } from "../../../api/errors.ts";
import { makeGroup, planGroup, removeGroup, undoGroup, updatableGroup, updateSchemata } from "./group.ts";
import type { Resctrl } from "./host.ts";

/** A directory in the place of the file system. Unlike that, it removes no directory that has files. */
async function withHost(test: (host: Resctrl) => void): Promise<void> {
  const mountpoint = await Deno.makeTempDir({ prefix: "barge-resctrl-" });
  try {
    test({ mountpoint, hasCaches: true, hasBandwidth: true, hasMonitoring: true });
  } finally {
    await Deno.remove(mountpoint, { recursive: true });
  }
}

function makeClass(path: string, schemata: string, tasks = ""): void {
  Deno.mkdirSync(`${path}/mon_groups`, { recursive: true });
  Deno.writeTextFileSync(`${path}/schemata`, schemata);
  Deno.writeTextFileSync(`${path}/tasks`, tasks);
}

const entries = (path: string): string[] => [...Deno.readDirSync(path)].map(({ name }) => name).sort();

function refuses(body: () => unknown, code: Code, message: RegExp): void {
  throws(body, (error) => {
    ok(isFailure(error, code), String(error));
    ok(message.test(error.message), error.message);
    return true;
  });
}

Deno.test("planGroup() refuses what the host does not have, in runc's words", async () => {
  const missing: [Parameters<typeof planGroup>[0], RegExp][] = [
    [{}, /^intelRdt is specified in config, but Intel RDT is not enabled$/],
    [{ l3CacheSchema: "L3:0=f" }, /^intelRdt.l3CacheSchema is specified in config, but Intel RDT\/CAT is not enabled$/],
    [{ memBwSchema: "MB:0=9" }, /^intelRdt.memBwSchema is specified in config, but Intel RDT\/MBA is not enabled$/],
  ];
  for (const [rdt, message] of missing) refuses(() => planGroup(rdt, "c", undefined), "FailedPrecondition", message);
  await withHost((host) => {
    const bare = { ...host, hasCaches: false, hasBandwidth: false, hasMonitoring: false };
    for (const [rdt, message] of missing.slice(1)) {
      refuses(() => planGroup(rdt, "c", bare), "FailedPrecondition", message);
    }
    refuses(() => planGroup({ enableCMT: true }, "c", bare), "FailedPrecondition", /intelRdt.enableCMT .* monitoring/);
  });
});

Deno.test("planGroup() refuses names that lead elsewhere, first of all", () => {
  for (const closID of [".", "..", "a/b", "/a", "../a"]) {
    refuses(() => planGroup({ closID }, "c", undefined), "InvalidArgument", /^invalid intelRdt.ClosID "/);
  }
});

Deno.test("a class without a name belongs to the container alone, and goes with it", async () => {
  await withHost((host) => {
    const directory = `${host.mountpoint}/c`;
    const planned = planGroup({ l3CacheSchema: "L3:0=f", memBwSchema: "MB:0=20" }, "c", host);
    equal(entries(host.mountpoint), []);
    equal(planned.record, { joins: [directory], own: [directory] });
    makeGroup(planned);
    equal(Deno.readTextFileSync(`${directory}/schemata`), "L3:0=f\nMB:0=20\n");
    // As a state that was written and read.
    const record = JSON.parse(JSON.stringify(planned.record));
    updateSchemata(updatableGroup(record, { memBwSchema: "MB:0=30" }, host), { memBwSchema: "MB:0=30" });
    equal(Deno.readTextFileSync(`${directory}/schemata`), "MB:0=30\n");
    Deno.removeSync(`${directory}/schemata`);
    removeGroup(record);
    equal(entries(host.mountpoint), []);
    // A runtime that was killed before it made the class leaves a record of it all the same.
    removeGroup(record);
  });
});

Deno.test("a class that is there is joined and left alone, unless it is another than asked for", async () => {
  await withHost((host) => {
    const directory = `${host.mountpoint}/gold`;
    makeClass(directory, "    MB:0= 100\n    L3:0=0ff\n");
    for (const rdt of [{}, { l3CacheSchema: "L3:0=ff" }, { schemata: ["MB:0=100"] }]) {
      const planned = planGroup({ closID: "gold", ...rdt }, "c", host);
      equal([planned.record, planned.shared], [{ joins: [directory], own: [] }, undefined]);
      makeGroup(planned);
      undoGroup(planned);
      removeGroup(planned.record);
    }
    equal(Deno.readTextFileSync(`${directory}/schemata`), "    MB:0= 100\n    L3:0=0ff\n");
    refuses(
      () => planGroup({ closID: "gold", l3CacheSchema: "L3:0=f" }, "c", host),
      "FailedPrecondition",
      /gold" exists with other schemata than "L3:0=f"$/,
    );
    refuses(() => planGroup({ closID: "tin" }, "c", host), "FailedPrecondition", /^clos dir not accessible .*tin"$/);
    equal(entries(host.mountpoint), ["gold"]);
  });
});

Deno.test("a class that is made by name stays for others, and goes where its container does not come to be", async () => {
  await withHost((host) => {
    const directory = `${host.mountpoint}/tin`;
    const planned = planGroup({ closID: "tin", schemata: ["L3:0=3"] }, "c", host);
    equal([planned.record, planned.shared], [{ joins: [directory], own: [] }, directory]);
    makeGroup(planned);
    equal(Deno.readTextFileSync(`${directory}/schemata`), "L3:0=3\n");
    removeGroup(planned.record);
    Deno.writeTextFileSync(`${directory}/tasks`, "42\n");
    undoGroup(planned);
    equal(entries(directory), ["schemata", "tasks"]);
    for (const name of ["schemata", "tasks"]) Deno.removeSync(`${directory}/${name}`);
    undoGroup(planned);
    equal(entries(host.mountpoint), []);
  });
});

Deno.test("a monitored container has a group of its own in its class, also in that of all processes", async () => {
  await withHost((host) => {
    makeClass(host.mountpoint, "L3:0=f\n");
    const group = `${host.mountpoint}/mon_groups/c`;
    const planned = planGroup({ closID: "/", enableMonitoring: true }, "c", host);
    equal(planned.record, { joins: [host.mountpoint, group], own: [group] });
    makeGroup(planned);
    equal(entries(`${host.mountpoint}/mon_groups`), ["c"]);
    removeGroup(planned.record);
    equal(entries(host.mountpoint), ["mon_groups", "schemata", "tasks"]);
  });
});

Deno.test("makeGroup() leaves nothing where a step fails", async () => {
  await withHost((host) => {
    // A plain directory makes no mon_groups in a new class.
    const planned = planGroup({ enableMonitoring: true }, "c", host);
    refuses(() => makeGroup(planned), "Aborted", /^intelRdt: cannot make the group: /);
    equal(entries(host.mountpoint), []);
  });
});

Deno.test("updatableGroup() tells what is missing", async () => {
  const l3 = { l3CacheSchema: "L3:0=f" };
  refuses(
    () => updatableGroup(undefined, l3, undefined),
    "FailedPrecondition",
    /^Intel RDT\/CAT: l3 cache schema is not/,
  );
  const mb = { memBwSchema: "MB:0=9" };
  refuses(() => updatableGroup(undefined, mb, undefined), "FailedPrecondition", /^Intel RDT\/MBA: memory bandwidth/);
  await withHost((host) => {
    refuses(() => updatableGroup(undefined, l3, host), "FailedPrecondition", /created without linux.intelRdt$/);
  });
});
