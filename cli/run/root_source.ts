/**
 * From a snapshot's mounts to the root file system of a container, which mounts them in its own namespace.
 *
 * @module
 */
import { splitLowers } from "../../ffi/lower_directories.ts";
import { Failure } from "../../api/errors.ts";
import type { Mount } from "../../daemon/snapshots/snapshotter.ts";
import type { RootSource } from "../../shim/oci/plan/facts.ts";
import { mountOptionsLimit, overlayOptionsLength } from "../../shim/oci/plan/root.ts";
import { readInLayers, readInRoot } from "../../shim/oci/read_in_root.ts";

/** Options for {@link rootSource}. */
export interface RootSourceOptions {
  /** Directory of the snapshotter: overlay options are written relative to it. */
  directory: string;
  /** An empty directory of the host. */
  mountpoint: string;
  /** Whether nothing that is written outlives the container; then nothing is synced either. */
  volatile: boolean;
}

/** The root of a container in this snapshot. Throws `OutOfRange` where an image has too many layers for the kernel. */
export function rootSource(mounts: readonly Mount[], options: RootSourceOptions): RootSource {
  const [mount, ...more] = mounts;
  if (mount === undefined || more.length > 0) {
    throw new Failure("NotImplemented", `the snapshot has ${mounts.length} mounts: a container wants one`);
  }
  if (mount.type === "bind") return { kind: "directory", path: mount.source };
  if (mount.type !== "overlay") throw new Failure("NotImplemented", `the snapshot's mount has type "${mount.type}"`);
  const base = options.directory;
  const relative = (path: string): string => path.startsWith(`${base}/`) ? path.slice(base.length + 1) : path;
  const value = (key: string): string | undefined =>
    mount.options.find((option) => option.startsWith(`${key}=`))?.slice(key.length + 1);
  const upper = value("upperdir");
  const work = value("workdir");
  const source = {
    kind: "overlay" as const,
    base,
    lower: splitLowers(value("lowerdir") ?? "").map(relative),
    ...(upper === undefined || work === undefined ? {} : { upper: relative(upper), work: relative(work) }),
    options: [
      ...mount.options.filter((option) => !/^(upperdir|workdir|lowerdir)=/.test(option)),
      ...(options.volatile && upper !== undefined ? ["volatile"] : []),
    ],
    mountpoint: options.mountpoint,
  };
  if (overlayOptionsLength(source) > mountOptionsLimit) {
    const message = `the image has ${source.lower.length} layers, more than the kernel takes in one overlay mount`;
    throw new Failure("OutOfRange", message);
  }
  return source;
}

/** The text of a file as the root will show it. Throws as `readInRoot` does. */
export function readFromRoot(source: RootSource, path: string): string {
  if (source.kind === "directory") return readInRoot(source.path, path) ?? "";
  return readInLayers(source.lower.map((name) => name.startsWith("/") ? name : `${source.base}/${name}`), path);
}
