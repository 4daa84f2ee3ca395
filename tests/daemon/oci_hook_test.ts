/**
 * `containerd oci-hook`, compared with stock containerd's.
 */
import assert from "node:assert/strict";
import { barge, execute, systemTest } from "../command.ts";

systemTest(
  "barge daemon oci-hook becomes the command that a hook's templates make, as stock's does",
  ["containerd"],
  async () => {
    const bundle = await Deno.makeTempDir({ prefix: "barge-hook-" });
    await Deno.writeTextFile(`${bundle}/config.json`, JSON.stringify({ root: { path: "rootfs" } }));
    const state = JSON.stringify({
      ociVersion: "1.0.2",
      id: "one",
      status: "created",
      pid: 17,
      bundle,
      annotations: { "a.b/c": "v 1" },
    });
    const sides = { stock: ["containerd"], barge: [...barge, "daemon"] };
    const run = async (command: readonly string[], ...args: string[]) =>
      await execute([...command, "oci-hook", ...args], { stdin: `${state}\n`, env: { HOOKED: "{{pid}}-{{status}}" } });
    const words = ["{{id}}", `x{{annotation "a.b/c"}}y`, "{{bundle}} {{- rootfs}}", "{{pid}}", "{{status}}", ""];
    const script = `printf '<%s>' "$@" "$HOOKED"; ulimit -n; grep SigIgn /proc/self/status; exit 7`;
    const results = await Promise.all(
      Object.values(sides).map((side) => run(side, "--", "/bin/sh", "-c", script, "sh", ...words)),
    );
    assert.equal(results[0]!.code, 7, results[0]!.stderr);
    assert.match(results[0]!.stdout, /^<one><xv 1y><.*rootfs><17><created><><17-created>/);
    assert.deepEqual(results[1], results[0]);
    // Neither looks into PATH, and both say what is wrong with a template.
    for (const side of Object.values(sides)) {
      assert.equal((await run(side, "--", "sh", "-c", "true")).code, 1);
      const wrong = await run(side, "--", "/bin/true", "{{nothing}}");
      assert.equal(wrong.code, 1);
      assert.match(wrong.stderr, /function "nothing" not defined/);
    }
    const noState = await execute([...sides.barge, "oci-hook", "--", "/bin/true"], { stdin: "{}x" });
    assert.equal(noState.code, 1);
    assert.match(noState.stderr, /^containerd: standard input holds no state of a container: /);
    assert.match((await run(sides.barge)).stderr, /oci-hook needs a command: containerd oci-hook -- CMD/);
    await Deno.remove(bundle, { recursive: true });
  },
);
