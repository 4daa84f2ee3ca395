/**
 * Steps for directories of the root file system that an image means to be written to.
 *
 * @module
 */
import { flag } from "../../../ffi/program/program.ts";
import type { Paths } from "./paths.ts";

/**
 * Makes the directories where they are missing. Each becomes a mount of itself where the root is to be read-only: that
 * changes the root's own mount alone. To be called before anything else is mounted, with the shallowest first.
 */
export function addVolumes(paths: Paths, volumes: readonly string[], readonlyRoot: boolean): void {
  for (const path of volumes) {
    const does = `make the volume "${path}"`;
    const directory = paths.ensure(path, "directory", does);
    if (!readonlyRoot) continue;
    const mount = paths.program.result(paths.name("volume"), {
      call: "open_tree",
      args: [directory, "", flag("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_EMPTY_PATH")],
      does,
    });
    paths.attach(mount, directory, does);
  }
}
