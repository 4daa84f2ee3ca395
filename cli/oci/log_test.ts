import assert from "node:assert/strict";
import { RuntimeLog } from "./log.ts";

Deno.test("RuntimeLog makes its file at once, and says at once where it cannot", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const log = new RuntimeLog(`${directory}/log`, "json", false);
    assert.equal(Deno.readTextFileSync(`${directory}/log`), "");
    log.warn("odd");
    assert.equal(JSON.parse(Deno.readTextFileSync(`${directory}/log`)).msg, "odd");
    assert.equal(new RuntimeLog("", "text", false).file, undefined);
    assert.throws(() => new RuntimeLog(`${directory}/none/log`, "text", false), {
      code: "InvalidArgument",
      message: /^cannot open the log ".*\/none\/log": /,
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
