/**
 * Repairing what the doctor has found. The caller owns the root.
 *
 * @module
 */
import { parseDigest } from "../../api/digest.ts";
import { Failure, isFailure } from "../../api/errors.ts";
import { reapAbandoned } from "../leases/abandoned.ts";
import { removeTree } from "../metadata/remove_tree.ts";
import type { Stores } from "../store.ts";
import type { Finding } from "./finding.ts";

/** What became of one finding. */
export interface Repaired {
  readonly finding: Finding;
  /** Undefined where it was repaired. */
  readonly error?: unknown;
}

/** Performs the remedies, each on its own: what fails does not stop the rest. */
export async function repair(stores: Stores, findings: readonly Finding[]): Promise<Repaired[]> {
  const outcomes: Repaired[] = [];
  for (const finding of findings) {
    if (finding.remedy === undefined || finding.kind === "damaged database") continue;
    try {
      await repairOne(stores, finding);
      outcomes.push({ finding });
    } catch (error) {
      outcomes.push({ finding, error });
    }
  }
  const namespaces = await stores.database.read(() => stores.namespaces());
  // Once is enough for what lies outside of namespaces, and each has leases of its own.
  for (const namespace of namespaces.length === 0 ? ["default"] : namespaces) await reapAbandoned(stores.of(namespace));
  return outcomes;
}

async function repairOne(stores: Stores, { kind, object, path, keep }: Finding): Promise<void> {
  switch (kind) {
    case "missing blob":
    case "truncated blob":
    case "corrupt blob":
      if (object !== undefined) await forgetBlob(stores, object.namespace, object.key);
      return;
    case "missing snapshot":
      if (object !== undefined) await forgetSnapshot(stores, object.namespace, object.key);
      return;
    case "damaged snapshot":
      if (object === undefined) return;
      await refuseUsed(stores, object.namespace, object.key);
      await forgetSnapshot(stores, object.namespace, object.key);
      return;
    case "unknown blob file":
    case "leftover":
      if (path === undefined) return;
      if (keep === true) await setAside(stores.root, path, path.split("/").slice(-2).join("-"));
      else await removeTree(path);
      return;
    case "damaged database":
    case "dangling reference":
      return;
  }
}

/** Takes the row away. The file, whatever it has, is kept for a look at it. */
async function forgetBlob(stores: Stores, namespace: string, key: string): Promise<void> {
  const { content } = stores.of(namespace);
  const digest = parseDigest(key);
  await setAside(stores.root, content.path(digest), key.replace(":", "-"));
  try {
    await content.delete(digest);
  } catch (error) {
    if (!isFailure(error, "NotFound")) throw error;
  }
}

/** Keeps a file for a look at it, where nothing else finds it. A missing one is fine. */
async function setAside(root: string, path: string, name: string): Promise<void> {
  const place = `${root}/set-aside`;
  await Deno.mkdir(place, { recursive: true, mode: 0o700 });
  try {
    await Deno.rename(path, `${place}/${name}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Throws where more than layers stand on a snapshot: what a container has written is not ours to throw away. */
async function refuseUsed(stores: Stores, namespace: string, objectKey: string): Promise<void> {
  const [name, key] = splitKey(objectKey);
  const used = await stores.database.read(() =>
    stores.database.get<{ key: string }>(
      `WITH RECURSIVE above AS (
         SELECT key, kind FROM snapshots WHERE namespace = ?1 AND snapshotter = ?2 AND parent = ?3
         UNION
         SELECT s.key, s.kind FROM snapshots s JOIN above ON s.namespace = ?1 AND s.snapshotter = ?2 AND s.parent = above.key
       )
       SELECT key FROM above WHERE kind <> 'committed' LIMIT 1`,
      namespace,
      name,
      key,
    )
  );
  if (used === undefined) return;
  throw new Failure(
    "FailedPrecondition",
    `snapshot "${used.key}" of a container stands on it: save what that has, remove the container, and repair again`,
  );
}

function splitKey(objectKey: string): [string, string] {
  const slash = objectKey.indexOf("/");
  return [objectKey.slice(0, slash), objectKey.slice(slash + 1)];
}

/** Takes a snapshot's row away, and those of the snapshots that stand on it first. */
async function forgetSnapshot(stores: Stores, namespace: string, objectKey: string): Promise<void> {
  const [name, key] = splitKey(objectKey);
  const children = await stores.database.read(() =>
    stores.database.all<{ key: string }>(
      "SELECT key FROM snapshots WHERE namespace = ? AND snapshotter = ? AND parent = ?",
      namespace,
      name,
      key,
    )
  );
  for (const child of children) await forgetSnapshot(stores, namespace, `${name}/${child.key}`);
  try {
    await stores.of(namespace).snapshotter(name).remove(key);
  } catch (error) {
    if (!isFailure(error, "NotFound")) throw error;
  }
}
