/**
 * Pure version 2 on a directory tree that looks like it: what is written where. The kernel's part is missing.
 */
import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { isFailure } from "../../../api/errors.ts";
import { Cgroup } from "./cgroup.ts";
import { freezeAndWait, type Freezer } from "./freezer.ts";
import type { Hierarchy } from "./hierarchies.ts";

const allControllers = "cpuset cpu io memory hugetlb pids rdma\n";

/** A tree with the files given as path → contents, below a temporary directory. */
function withTree(files: Record<string, string>, test: (hierarchy: Hierarchy) => void): void {
  const mountpoint = Deno.makeTempDirSync();
  try {
    for (const [path, text] of Object.entries(files)) {
      Deno.mkdirSync(`${mountpoint}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      Deno.writeTextFileSync(`${mountpoint}/${path}`, text);
    }
    test({ version: 2, controllers: [], name: "", mountpoint, root: "/", ownPath: "/" });
  } finally {
    Deno.removeSync(mountpoint, { recursive: true });
  }
}

function contents({ mountpoint }: Hierarchy, ...files: string[]): string[] {
  return files.map((file) => Deno.readTextFileSync(`${mountpoint}/${file}`));
}

Deno.test("create() hands all controllers down from the top", () => {
  const files = { "cgroup.controllers": allControllers, "cgroup.subtree_control": "", "a/cgroup.subtree_control": "" };
  withTree(files, (hierarchy) => {
    Cgroup.at([hierarchy], "/a/b", "box").create();
    const all = "+cpuset +cpu +io +memory +hugetlb +pids +rdma";
    deepEqual(contents(hierarchy, "cgroup.subtree_control", "a/cgroup.subtree_control"), [all, all]);
    equal(Deno.statSync(`${hierarchy.mountpoint}/a/b`).isDirectory, true);
  });
});

Deno.test("create() writes nothing where the controllers are there", () => {
  const files = {
    "cgroup.controllers": "cpu pids\n",
    "cgroup.subtree_control": "",
    "a/cgroup.controllers": "pids cpu\n",
  };
  withTree(files, (hierarchy) => {
    Cgroup.at([hierarchy], "/a", "box").create();
    deepEqual(contents(hierarchy, "cgroup.subtree_control"), [""]);
  });
});

Deno.test("update() writes the files of version 2", () => {
  const files = {
    "a/cgroup.controllers": allControllers,
    "a/cgroup.type": "domain\n",
    "a/memory.max": "",
    "a/memory.swap.max": "",
    "a/cpu.max": "",
    "a/cpu.weight": "",
    "a/io.weight": "",
    "a/pids.max": "",
  };
  withTree(files, (hierarchy) => {
    Cgroup.at([hierarchy], "/a", "box").update({
      memory: { limit: 4096, swap: 8192 },
      cpu: { quota: 5000, shares: 1024, burst: 100 },
      pids: { limit: -1 },
      blockIO: { weight: 10 },
    });
    deepEqual(
      contents(
        hierarchy,
        "a/memory.max",
        "a/memory.swap.max",
        "a/cpu.max",
        "a/cpu.weight",
        "a/pids.max",
        "a/io.weight",
      ),
      ["4096", "4096", "5000 100000", "100", "max", "1"],
    );
  });
});

Deno.test("update() names a file that the kernel lacks, and a controller that was not handed down", () => {
  withTree({ "a/cgroup.controllers": "hugetlb\n" }, (hierarchy) => {
    const cgroup = Cgroup.at([hierarchy], "/a", "box");
    throws(
      () => cgroup.update({ hugepageLimits: [{ pageSize: "3MB", limit: 4096 }] }),
      (error) => isFailure(error, "FailedPrecondition") && /"hugetlb\.3MB\.max"/.test(error.message),
    );
    throws(() => cgroup.update({ memory: { limit: 4096 } }), /controller "memory" is not available/);
  });
});

Deno.test("update() refuses a limit below the usage where memory.checkBeforeUpdate asks for it", () => {
  const files = { "a/cgroup.controllers": "memory\n", "a/memory.current": "5000\n", "a/memory.max": "" };
  withTree(files, (hierarchy) => {
    const cgroup = Cgroup.at([hierarchy], "/a", "box");
    throws(() => cgroup.update({ memory: { limit: 4096, checkBeforeUpdate: true } }), /5000 bytes are in use/);
    deepEqual(contents(hierarchy, "a/memory.max"), [""]);
    cgroup.update({ memory: { limit: 4096 } });
    deepEqual(contents(hierarchy, "a/memory.max"), ["4096"]);
  });
});

Deno.test("update() refuses memory limits in a threaded cgroup, and takes those of threads", () => {
  const files = { "a/cgroup.controllers": "memory pids\n", "a/cgroup.type": "threaded\n", "a/pids.max": "" };
  withTree(files, (hierarchy) => {
    const cgroup = Cgroup.at([hierarchy], "/a", "box");
    throws(() => cgroup.update({ memory: { limit: 4096 } }), /its type is "threaded"/);
    cgroup.update({ pids: { limit: 4 } });
    deepEqual(contents(hierarchy, "a/pids.max"), ["4"]);
  });
});

Deno.test("signalAll() kills by cgroup.kill", () => {
  withTree({ "a/cgroup.kill": "", "a/cgroup.procs": "" }, (hierarchy) => {
    Cgroup.at([hierarchy], "/a", "box").signalAll(9);
    deepEqual(contents(hierarchy, "a/cgroup.kill"), ["1"]);
  });
});

Deno.test("state() asks cgroup.freeze, and thaw() clears it", () => {
  withTree({ "a/cgroup.freeze": "1\n" }, (hierarchy) => {
    const cgroup = Cgroup.at([hierarchy], "/a", "box");
    equal(cgroup.state(), "frozen");
    cgroup.thaw();
    equal(cgroup.state(), "thawed");
  });
});

Deno.test("freezeAndWait() gives up at its deadline and thaws", async () => {
  const done: string[] = [];
  const stubborn: Freezer = {
    begin: () => void done.push("begin"),
    isDone: () => false,
    wasAsked: () => true,
    thaw: () => void done.push("thaw"),
  };
  await rejects(freezeAndWait(stubborn, "/box", 20), (error) => isFailure(error, "DeadlineExceeded"));
  equal(done.at(-1), "thaw");
});
