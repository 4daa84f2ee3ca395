import assert from "node:assert/strict";
import { parseMountOptions } from "./mount_options.ts";

Deno.test("parseMountOptions() sorts options into attributes, flags and parameters", () => {
  const parsed = parseMountOptions(["nosuid", "sync", "mode=755", "newinstance", "size=1m"]);
  assert.deepEqual(parsed.attributes, { set: ["MOUNT_ATTR_NOSUID"], clear: [] });
  assert.deepEqual(parsed.flags, ["sync"]);
  assert.deepEqual(parsed.parameters, [["mode", "755"], ["newinstance"], ["size", "1m"]]);
});

Deno.test("parseMountOptions() lets a later option win over its opposite", () => {
  assert.deepEqual(parseMountOptions(["ro", "rw"]).attributes, { set: [], clear: ["MOUNT_ATTR_RDONLY"] });
  assert.deepEqual(parseMountOptions(["rw", "ro", "ro"]).attributes, { set: ["MOUNT_ATTR_RDONLY"], clear: [] });
  assert.equal(parseMountOptions(["ro", "rw"]).readOnly, false);
});

Deno.test("parseMountOptions() keeps one access-time mode and clears the field", () => {
  const { attributes } = parseMountOptions(["noatime", "strictatime"]);
  assert.deepEqual(attributes, { set: ["MOUNT_ATTR_STRICTATIME"], clear: ["MOUNT_ATTR__ATIME"] });
});

Deno.test("parseMountOptions() tells recursive attributes and propagation from plain ones", () => {
  const parsed = parseMountOptions(["rbind", "rro", "rslave", "private", "relatime"]);
  assert.equal(parsed.recursiveBind, true);
  assert.deepEqual(parsed.recursiveAttributes.set, ["MOUNT_ATTR_RDONLY"]);
  assert.deepEqual(parsed.propagation, [{ type: "MS_SLAVE", recursive: true }, {
    type: "MS_PRIVATE",
    recursive: false,
  }]);
  assert.deepEqual(parsed.attributes.set, ["MOUNT_ATTR_RELATIME"]);
});

Deno.test("parseMountOptions() lets a later option take a flag of the file system back", () => {
  const parsed = parseMountOptions(["sync", "lazytime", "mand", "dirsync", "async", "nomand", "iversion"]);
  assert.deepEqual([parsed.flags, parsed.parameters], [["lazytime", "dirsync"], []]);
});
