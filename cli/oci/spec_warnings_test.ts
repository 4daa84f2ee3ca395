import assert from "node:assert/strict";
import { specWarnings } from "./spec_warnings.ts";

Deno.test("specWarnings() names unknown capabilities, flags without effect and relative destinations, each once", () => {
  const spec = {
    ociVersion: "1.2.1",
    process: {
      user: { uid: 0, gid: 0 },
      cwd: "/",
      capabilities: { bounding: ["CAP_KILL", "CAP_FLY"], permitted: ["CAP_FLY", "CAP_SWIM"] },
    },
    mounts: [{ destination: "/proc" }, { destination: "data" }],
    linux: { personality: { domain: "LINUX32" as const, flags: ["ADDR_NO_RANDOMIZE", "SHORT_INODE"] } },
  };
  assert.deepEqual(specWarnings(spec), [
    "ignoring unknown or unavailable capabilities: [CAP_FLY CAP_SWIM]",
    "ignoring unsupported personality flags: [ADDR_NO_RANDOMIZE SHORT_INODE] because personality flag has not supported " +
    "at this time",
    "mount destination data is not absolute: it is counted from the root",
  ]);
});

Deno.test("specWarnings() has nothing to say of an ordinary spec", () => {
  assert.deepEqual(specWarnings({ ociVersion: "1.2.1", mounts: [{ destination: "/proc" }] }), []);
});
