import assert from "node:assert/strict";
import { servesSocket } from "./shim_process.ts";

Deno.test("servesSocket() knows whose socket it is", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/s`;
  try {
    assert.equal(servesSocket(Deno.pid, path), false);
    using _listener = Deno.listen({ transport: "unix", path });
    assert.equal(servesSocket(Deno.pid, path), true);
    await using other = new Deno.Command("sleep", { args: ["1000"] }).spawn();
    assert.equal(servesSocket(other.pid, path), false);
    other.kill("SIGKILL");
    await other.status;
    assert.equal(servesSocket(other.pid, path), false);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
