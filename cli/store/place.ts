/**
 * Which root a command of the store looks at.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { ReadConnection } from "../../daemon/gc/read_connection.ts";

/** The daemon's root, and that of one-shot runs. */
const usualRoots = ["/var/lib/containerd", "/var/lib/barge"];

/** Flags that all these commands have. */
export const placeFlags = {
  root: { kind: "value", value: "DIR", help: "Root directory (default: a daemon's, else that of barge run)" },
  namespace: { kind: "value", short: "n", value: "NAME", help: "Only this namespace (default: all)" },
  json: { kind: "boolean", help: "Print JSON" },
} as const;

/** Path of the database below a root. */
export function databaseOf(root: string): string {
  return `${root}/io.barge.metadata.v1.sqlite/meta.db`;
}

/** The root that is meant: the one named, or the first usual one that has a store. Throws `NotFound`. */
export function findRoot(named: string | undefined): string {
  const roots = named === undefined ? usualRoots : [named];
  const found = roots.find((root) => hasStore(root));
  if (found !== undefined) return found;
  const places = roots.map((root) => `"${root}"`).join(" and ");
  throw new Failure("NotFound", `there is no store of barge in ${places}: name its directory with --root`);
}

/** The database itself may be lost: that is for the doctor to say. */
function hasStore(root: string): boolean {
  const database = databaseOf(root);
  try {
    return Deno.statSync(database.slice(0, database.lastIndexOf("/"))).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) {
      throw new Failure("PermissionDenied", `no permission to read "${root}": run barge as its owner`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** Opens the root's database for reading; also while a daemon works on it. */
export function readRoot(root: string): ReadConnection {
  return ReadConnection.open(databaseOf(root));
}
