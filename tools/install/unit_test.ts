import assert from "node:assert/strict";
import { unitText } from "./unit.ts";

Deno.test("unitText() starts the barge of its prefix, however that is spelt", () => {
  assert.match(unitText("/usr/local"), /^ExecStart="\/usr\/local\/bin\/barge" daemon$/m);
  assert.match(unitText('/a "b" 50% $c'), /^ExecStart="\/a \\"b\\" 50%% \$\$c\/bin\/barge" daemon$/m);
});

Deno.test("unitText() lets containers outlive the daemon, and waits until it serves", () => {
  const lines = unitText("/usr").split("\n");
  for (const line of ["Type=notify", "KillMode=process", "Delegate=yes"]) assert.ok(lines.includes(line), line);
});

const analyze = "systemd-analyze";
const isThere = await new Deno.Command("sh", { args: ["-c", `command -v ${analyze}`], stdout: "null" }).output();

Deno.test({
  name: `systemd finds nothing wrong with unitText()${isThere.success ? "" : " [skipped: no systemd-analyze]"}`,
  ignore: !isThere.success,
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${directory}/bin`);
      await Deno.writeTextFile(`${directory}/bin/barge`, "#!/bin/sh\n", { mode: 0o755 });
      await Deno.writeTextFile(`${directory}/barge.service`, unitText(directory));
      const { success, stderr } = await new Deno.Command(analyze, {
        args: ["verify", "--man=no", `${directory}/barge.service`],
        stdin: "null",
      }).output();
      const text = new TextDecoder().decode(stderr);
      const about = text.split("\n").filter((line) => line.includes("barge.service"));
      assert.deepEqual(about, [], text);
      assert.ok(success, text);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
