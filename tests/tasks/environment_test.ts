/**
 * The environment of programs that the installed daemon starts: its caller's, whatever the launcher does to Deno's.
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { image, startTaskBench } from "./task_fixture.ts";

systemTest(
  "a shim gets the environment of the daemon's caller, and none of Deno's",
  ["busybox", "ctr", "skopeo"],
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "barge-environment-" });
    try {
      const script = `#!/bin/sh\nenv >'${directory}/seen'\nexit 1\n`;
      await Deno.writeTextFile(`${directory}/containerd-shim-told-v2`, script, { mode: 0o755 });
      const given = {
        LD_LIBRARY_PATH: "/given/lib",
        NODE_OPTIONS: "--given",
        NO_COLOR: "given",
        GIVEN: "1",
        DENO_DIR: "/given",
      };
      await using bench = await startTaskBench({ env: { ...given, PATH: `${directory}:${Deno.env.get("PATH")}` } });
      const { code } = await bench.ctr("run", "--rm", "--runtime", "io.containerd.told.v2", image, "one", "true");
      assert.notEqual(code, 0);
      const lines = (await Deno.readTextFile(`${directory}/seen`)).trim().split("\n");
      const seen = new Map(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
      // What the daemon's own directory for programs has comes first.
      assert.match(seen.get("LD_LIBRARY_PATH") ?? "", /\/opt\/lib:\/given\/lib$/);
      assert.match(seen.get("PATH") ?? "", /\/opt\/bin:/);
      for (const name of ["NODE_OPTIONS", "NO_COLOR", "GIVEN", "DENO_DIR"] as const) {
        assert.equal(
          seen.get(name),
          given[name],
        );
      }
      const own = [...seen.keys()].filter((name) =>
        /^(?:DENO_|BARGE_(?!TEST))/.test(name) && name !== "DENO_DIR" && Deno.env.get(name) === undefined
      );
      assert.deepEqual(own, []);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);
