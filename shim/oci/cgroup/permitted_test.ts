import assert from "node:assert/strict";
import type { CgroupDirectory } from "./directory.ts";
import { permittedPlaces } from "./permitted.ts";

Deno.test("permittedPlaces() keeps what can be made below a directory that is there and may be written to", async () => {
  const mountpoint = await Deno.makeTempDir();
  try {
    const place = (path: string, top = mountpoint): CgroupDirectory => ({
      ...{ version: 1, name: "pids", controllers: ["pids"], mountpoint: top, path, made: false },
    });
    const good = place(`${mountpoint}/a/b/c`);
    const nowhere = place(`${mountpoint}/gone/b`, `${mountpoint}/gone`);
    assert.deepEqual(permittedPlaces([good, nowhere]), [good]);
    // Root may write where the mode forbids it, but not below a file.
    await Deno.writeTextFile(`${mountpoint}/file`, "");
    assert.deepEqual(permittedPlaces([place(`${mountpoint}/file/b`)]), []);
  } finally {
    await Deno.remove(mountpoint, { recursive: true });
  }
});
