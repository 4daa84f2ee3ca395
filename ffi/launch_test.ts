import assert from "node:assert/strict";
import { parseLaunch } from "./launch.ts";

Deno.test("parseLaunch() reads limits and umask, and gives the caller's variables their names back", () => {
  const launch = parseLaunch({
    BARGE_LAUNCH: "1:400:4e20:12:1000:0",
    BARGE_ARGV0: "/usr/bin/runc",
    BARGE_ENV_LD_PRELOAD: "x.so",
    DENO_DIR: "/p/lib/barge/cache",
    PATH: "/bin",
  });
  assert.deepEqual(launch.nofile, { soft: 1024n, hard: 20000n });
  assert.equal(launch.umask, 0o22);
  assert.equal(launch.argv0, "/usr/bin/runc");
  assert.deepEqual([...launch.environment], [["LD_PRELOAD", "x.so"], ["PATH", "/bin"]]);
});

Deno.test("parseLaunch() knows nothing where there was no launcher", () => {
  const launch = parseLaunch({ DENO_DIR: "/mine" });
  assert.equal(launch.nofile, undefined);
  assert.equal(launch.environment.get("DENO_DIR"), "/mine");
});
