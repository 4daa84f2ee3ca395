/**
 * Field masks: which parts of a stored object an Update takes over from the request. One implementation; each service
 * says in a table which paths it knows.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";

/** What paths of masks mean for one kind of object. Objects are never changed: each step gives a new one. */
export interface MaskTable<T> {
  /** Path of a whole field → takes it over. */
  readonly fields: Readonly<Record<string, (stored: T, given: T) => T>>;
  /**
   * Path of a map → takes over the one entry that `path.KEY` names; the key may hold dots. Labels that are empty are not
   * kept by the stores, so an entry that the request has not is a deletion.
   */
  readonly entries: Readonly<Record<string, (stored: T, given: T, key: string) => T>>;
  /** How errors name the object, behind `cannot update "x" field`: such as ` on image "debian"`. */
  readonly place: (object: T) => string;
}

/**
 * The stored object with the fields of these paths from the given one, in the order of the paths. Throws
 * `InvalidArgument` for a path that the table has not, in containerd's words.
 */
export function applyMask<T>(table: MaskTable<T>, paths: readonly string[], stored: T, given: T): T {
  let updated = stored;
  for (const path of paths) {
    const dot = path.indexOf(".");
    const map = dot === -1 ? "" : path.slice(0, dot);
    // Own ones only: paths come from strangers, and objects have a "constructor".
    const entry = Object.hasOwn(table.entries, map) ? table.entries[map] : undefined;
    const field = Object.hasOwn(table.fields, path) ? table.fields[path] : undefined;
    if (entry !== undefined) updated = entry(updated, given, path.slice(dot + 1));
    else if (field !== undefined) updated = field(updated, given);
    else throw new Failure("InvalidArgument", `cannot update "${path}" field${table.place(stored)}`);
  }
  return updated;
}

/** Labels with one of them as in `given`; an absent one becomes empty, which is what a deleted label is. */
export function withLabel(
  labels: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
  key: string,
): Record<string, string> {
  return { ...labels, [key]: Object.hasOwn(given, key) ? given[key]! : "" };
}

/** The two paths of labels, for tables of objects that have them. */
export const labelPaths = {
  fields: {
    labels: <T extends { readonly labels: Readonly<Record<string, string>> }>(stored: T, given: T): T => ({
      ...stored,
      labels: given.labels,
    }),
  },
  entries: {
    labels: <T extends { readonly labels: Readonly<Record<string, string>> }>(stored: T, given: T, key: string): T => ({
      ...stored,
      labels: withLabel(stored.labels, given.labels, key),
    }),
  },
} as const;
