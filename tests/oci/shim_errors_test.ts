/**
 * A command that cannot be executed, through barge's shim: clients are told what is wrong with the file.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemTest } from "../command.ts";
import { linkShims } from "../installed.ts";
import { image, startTaskBench } from "../tasks/task_fixture.ts";

systemTest(
  "the shim tells clients what keeps a command from being executed",
  ["busybox", "tar", "ctr", "skopeo"],
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "barge-shim-" });
    try {
      await linkShims(directory);
      const broken = `${directory}/broken`;
      await Deno.mkdir(broken);
      await Deno.writeTextFile(`${broken}/crlf`, "#!/bin/sh\r\necho hi\r\n", { mode: 0o755 });
      await Deno.writeTextFile(`${broken}/plain`, "#!/bin/sh\n", { mode: 0o644 });
      await Deno.writeTextFile(`${broken}/text`, "echo hi\n", { mode: 0o755 });
      await using bench = await startTaskBench({ env: { PATH: `${directory}:${Deno.env.get("PATH")}` } });
      const mount = ["--mount", `type=bind,src=${broken},dst=/broken,options=rbind:ro`];
      const runtime = ["--runtime", "io.containerd.ts.v2"];
      // At creation it is an error of the call; afterwards the container itself says it, as with runc.
      const denied = await bench.ctr("run", "--rm", ...runtime, ...mount, image, "denied", "/broken/plain");
      assert.notEqual(denied.code, 0);
      assert.match(denied.stderr, /permission denied: it is not executable: its mode is 0644/);
      const text = await bench.ctr("run", "--rm", ...runtime, ...mount, image, "text", "/broken/text");
      assert.deepEqual([text.code, text.stderr], [127, "exec /broken/text: exec format error\n"]);
      await bench.ask("run", "-d", ...runtime, ...mount, image, "runs", "sleep", "1000");
      const exec = await bench.ctr("tasks", "exec", "--exec-id", "x", "runs", "/broken/crlf");
      assert.notEqual(exec.code, 0);
      assert.match(exec.stderr, /no such file or directory: its #! line ends with a carriage return/);
      await bench.ask("tasks", "rm", "-f", "runs");
      await bench.ask("containers", "rm", "runs");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);
