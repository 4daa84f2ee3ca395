import assert from "node:assert/strict";
import { Any } from "../../api/gen/google/protobuf/any.ts";
import { Options } from "../../api/gen/types/runc/options/oci.ts";
import { isOwnShim, isSameProgram, optionsForOwn } from "./own_link.ts";

async function withLinks(body: (directory: string) => Promise<void> | void): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${directory}/lib`);
    await Deno.writeTextFile(`${directory}/lib/barge`, "");
    await Deno.symlink("lib/barge", `${directory}/barge`);
    await Deno.symlink("barge", `${directory}/containerd-shim-runc-v2`);
    await Deno.symlink("barge", `${directory}/containerd-shim-ts-v2`);
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("isOwnShim() knows barge's shim by its name, and by another shim's that is a link to barge", () =>
  withLinks(async (directory) => {
    const link = `${directory}/containerd-shim-runc-v2`;
    for (const program of ["/none/containerd-shim-ts-v2", link]) assert(isOwnShim(program), program);
    for (const program of ["/none/containerd-shim-runc-v2", `${directory}/barge`]) assert(!isOwnShim(program), program);
    assert(isSameProgram(link, `${directory}/containerd-shim-ts-v2`));
    // Another one is installed in its place.
    await Deno.remove(link);
    await Deno.writeTextFile(link, "containerd's");
    assert(!isOwnShim(link));
    assert(!isSameProgram(link, `${directory}/containerd-shim-ts-v2`));
  }));

const any = (options: Partial<Options>) =>
  Any.create({
    typeUrl: "containerd.runc.v1.Options",
    value: Options.encode(Options.create(options)).finish(),
  });

Deno.test("optionsForOwn() takes runc for barge itself where barge is called by the name of containerd's shim", () =>
  withLinks((directory) => {
    const link = `${directory}/containerd-shim-runc-v2`;
    assert.equal(optionsForOwn(link, any({ binaryName: "runc" })), undefined);
    assert.deepEqual(optionsForOwn(link, any({ binaryName: "runc", root: "/r" })), any({ root: "/r" }));
    for (const given of [undefined, any({ binaryName: "crun" }), any({ binaryName: "/usr/bin/runc" })]) {
      assert.equal(optionsForOwn(link, given), given);
    }
    const named = any({ binaryName: "runc" });
    for (const program of [`${directory}/containerd-shim-ts-v2`, "/usr/bin/containerd-shim-runc-v2"]) {
      assert.equal(optionsForOwn(program, named), named);
    }
  }));
