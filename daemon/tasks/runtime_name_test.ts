import assert from "node:assert/strict";
import { findShim, shimNameOf } from "./runtime_name.ts";

Deno.test("shimNameOf() takes the last two parts of a dotted name", () => {
  assert.equal(shimNameOf("io.containerd.runc.v2"), "containerd-shim-runc-v2");
  assert.equal(shimNameOf("kata.v2"), "containerd-shim-kata-v2");
  assert.equal(shimNameOf("runc"), undefined);
  assert.equal(shimNameOf(".v2"), undefined);
});

Deno.test("findShim() looks in the working directory, in PATH and beside the daemon, in this order", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const places = { workingDirectory: `${directory}/a`, path: [`${directory}/b`], ownDirectory: `${directory}/c` };
    for (const name of ["a", "b", "c"]) await Deno.mkdir(`${directory}/${name}`);
    const program = (place: string) => `${directory}/${place}/containerd-shim-x-v1`;
    const found = () => findShim("io.containerd.x.v1", places);
    assert.throws(found, {
      code: "Unknown",
      message: 'runtime "io.containerd.x.v1" binary not installed "containerd-shim-x-v1": file does not exist',
    });
    await Deno.writeTextFile(program("a"), "", { mode: 0o644 });
    assert.throws(found, /binary not installed/, "a file that cannot be executed");
    for (const place of ["c", "b"]) {
      await Deno.writeTextFile(program(place), "", { mode: 0o755 });
      assert.equal(found(), program(place));
    }
    await Deno.chmod(program("a"), 0o755);
    assert.equal(found(), program("a"));
    assert.equal(findShim(program("c"), places), program("c"));
    assert.throws(() => findShim(`${directory}/nothing`, places), /^Failure: invalid custom binary path: stat /);
    assert.throws(() => findShim("a/containerd-shim-x-v1", places), /^Failure: invalid runtime name a\/containerd/);
    assert.throws(() => findShim("", places), /^Failure: no runtime name$/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
