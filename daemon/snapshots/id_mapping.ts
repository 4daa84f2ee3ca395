/**
 * Snapshots for containers in user namespaces: the labels that say how users are mapped.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Labels } from "../metadata/label_refs.ts";

/** Labels of a snapshot with `containerID:hostID:length[,…]`. */
export const mappingLabels = {
  uid: "containerd.io/snapshot/uidmapping",
  gid: "containerd.io/snapshot/gidmapping",
} as const;

/** How a snapshot's users are mapped; the texts are as the labels have them. */
export interface IdMapping {
  readonly uidmap: string;
  readonly gidmap: string;
  /** Who is root in it, seen from outside. */
  readonly root: { readonly uid: number; readonly gid: number };
}

/** What the labels say; undefined where there are none. Throws `InvalidArgument` for those that cannot be. */
export function idMappingOf(labels: Labels): IdMapping | undefined {
  const uidmap = labels[mappingLabels.uid], gidmap = labels[mappingLabels.gid];
  if (uidmap === undefined && gidmap === undefined) return undefined;
  if (uidmap === undefined || gidmap === undefined) {
    throw new Failure(
      "InvalidArgument",
      `labels "${mappingLabels.uid}" and "${mappingLabels.gid}" belong together: there is only the ${
        uidmap === undefined ? "second" : "first"
      } one`,
    );
  }
  return {
    uidmap,
    gidmap,
    root: { uid: hostRoot(mappingLabels.uid, uidmap), gid: hostRoot(mappingLabels.gid, gidmap) },
  };
}

/** The largest id; 2^32-1 stands for "unchanged" in chown(2). */
const idMax = 0xffff_fffe;

function hostRoot(label: string, text: string): number {
  let root: number | undefined;
  for (const range of text.split(",")) {
    const [, first, host, length] = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(range)?.map(Number) ?? [];
    if (
      first === undefined || host === undefined || length === undefined || length === 0 ||
      first + length - 1 > idMax || host + length - 1 > idMax
    ) {
      throw new Failure(
        "InvalidArgument",
        `label "${label}" is "${text}": want containerID:hostID:length, with commas between several`,
      );
    }
    if (first === 0) root = host;
  }
  if (root === undefined) throw new Failure("InvalidArgument", `label "${label}" is "${text}", which maps no root`);
  return root;
}

let canMap: boolean | undefined;

/** Whether overlays over id-mapped layers can be mounted: since Linux 5.19. */
export function kernelMapsLayers(): boolean {
  return canMap ??= isAtLeast(Deno.osRelease(), 5, 19);
}

function isAtLeast(release: string, major: number, minor: number): boolean {
  const [, own = "0", rest = "0"] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return Number(own) > major || (Number(own) === major && Number(rest) >= minor);
}
