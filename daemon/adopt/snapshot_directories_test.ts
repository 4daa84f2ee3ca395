import assert from "node:assert/strict";
import type { Mount } from "../../api/gen/types/mount.ts";
import { directoriesOf } from "./snapshot_directories.ts";

const mount = (type: string, source: string, ...options: string[]): Mount[] => [{ type, source, target: "", options }];

Deno.test("directoriesOf() reads overlays with all that they stand on", () => {
  const lower = "lowerdir=/r/snapshots/12/fs:/r/snapshots/3/fs";
  const active = mount(
    "overlay",
    "overlay",
    "index=off",
    "workdir=/r/snapshots/15/work",
    "upperdir=/r/snapshots/15/fs",
    lower,
  );
  assert.deepEqual(directoriesOf("overlayfs", "/r", "active", active), { own: 15, parents: [12, 3] });
  assert.deepEqual(directoriesOf("overlayfs", "/r", "view", mount("overlay", "overlay", lower)), { parents: [12, 3] });
});

Deno.test("directoriesOf() reads binds: an active one is its own, a view is its parent's", () => {
  const bind = mount("bind", "/r/snapshots/4/fs", "rw", "rbind");
  assert.deepEqual(directoriesOf("overlayfs", "/r", "active", bind), { own: 4, parents: [] });
  assert.deepEqual(directoriesOf("overlayfs", "/r", "view", bind), { parents: [4] });
  const copy = mount("bind", "/r/snapshots/4", "rw", "rbind");
  assert.deepEqual(directoriesOf("native", "/r", "active", copy), { own: 4, parents: [] });
  assert.deepEqual(directoriesOf("native", "/r", "view", copy), { parents: [4] });
});

Deno.test("directoriesOf() takes nothing from paths elsewhere or of another form", () => {
  for (
    const path of [
      "/other/snapshots/4/fs",
      "/r/snapshots/4",
      "/r/snapshots/04/fs",
      "/r/snapshots/../fs",
      "/r/snapshots//fs",
    ]
  ) {
    assert.deepEqual(directoriesOf("overlayfs", "/r", "active", mount("bind", path)), { parents: [] }, path);
    const overlay = mount("overlay", "overlay", `lowerdir=/r/snapshots/1/fs:${path}`);
    assert.deepEqual(directoriesOf("overlayfs", "/r", "view", overlay), { parents: [] }, path);
  }
  assert.deepEqual(directoriesOf("overlayfs", "/r", "view", []), { parents: [] });
});
