/**
 * Snapshots between the API's messages and the stores' types.
 *
 * @module
 */
import { type Info, Kind } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import type { Mount as MountMessage } from "../../api/gen/types/mount.ts";
import { Failure } from "../../api/errors.ts";
import { wireTime } from "../../api/timestamp.ts";
import { compileFilters, type FieldReader } from "../filters/compile.ts";
import type { Labels } from "../metadata/label_refs.ts";
import type { Mount, SnapshotInfo } from "../snapshots/snapshotter.ts";
import { labelPaths, type MaskTable } from "./field_mask.ts";
import { mapField } from "./list_filter.ts";

const kinds = { active: Kind.ACTIVE, view: Kind.VIEW, committed: Kind.COMMITTED } as const;

/** A snapshot for the API. */
export function snapshotMessage({ key, parent = "", kind, created, updated, labels }: SnapshotInfo): Info {
  return {
    name: key,
    parent,
    kind: kinds[kind],
    createdAt: wireTime(created),
    updatedAt: wireTime(updated),
    labels: { ...labels },
  };
}

/** A mount for the API. */
export function mountMessage({ type, source, options }: Mount): MountMessage {
  return { type, source, target: "", options: [...options] };
}

/** What an update may change. */
interface Labelled {
  readonly key: string;
  readonly labels: Labels;
}

/** Paths of an update's mask: labels only. */
export const snapshotMask: MaskTable<Labelled> = {
  ...labelPaths,
  place: ({ key }) => ` on snapshot "${key}"`,
};

/**
 * The function that a list's filters are; undefined where all pass. Throws `Unknown` where one cannot be read, which is
 * what containerd's streams make of it.
 */
export function snapshotFilter(filters: readonly string[]): ((info: SnapshotInfo) => boolean) | undefined {
  if (filters.length === 0 || filters.includes("")) return undefined;
  try {
    const matches = compileFilters(filters);
    return (info) => matches(snapshotFields(info));
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "InvalidArgument") throw error;
    const ending = ": invalid argument";
    const text = error.message.endsWith(ending) ? error.message : `${error.message}${ending}`;
    throw new Failure("Unknown", text, { cause: error });
  }
}

function snapshotFields({ key, parent, kind, labels }: SnapshotInfo): FieldReader {
  return (path) => {
    switch (path[0]) {
      case "kind":
        return kind;
      case "name":
        return key;
      case "parent":
        return parent ?? "";
      case "labels":
        return mapField(labels, path);
      default:
        return undefined;
    }
  };
}
