/**
 * Cleaning up after processes that died.
 *
 * @module
 */
import type { ContentStore } from "../content/content_store.ts";
import type { ContainerInfo, ContainerStore } from "../metadata/container_store.ts";
import type { Trash } from "../metadata/trash.ts";
import type { DirectorySnapshotter } from "../snapshots/directory_snapshotter.ts";
import { FileLock } from "./file_lock.ts";
import type { LeaseStore } from "./lease_store.ts";

/** The parts of a store that are cleaned. */
export interface StoreParts {
  readonly leases: LeaseStore;
  readonly containers: ContainerStore;
  readonly content: ContentStore;
  readonly snapshotters: ReadonlyMap<string, DirectorySnapshotter>;
  readonly trash: Trash;
}

/** What was found and removed. */
export interface Abandoned {
  readonly leases: readonly string[];
  readonly containers: readonly ContainerInfo[];
}

/**
 * Removes what one-shot processes left that were killed: their leases (known by the free lock), and under those the
 * containers, and the active snapshots and views that no remaining container stands on. Unfinished downloads stay for
 * a day, to be resumed. May run in several processes at once and beside anything.
 *
 * `cleanOutside` removes what a container has outside the store (state directory, cgroups). It is called before the
 * container's row goes, so that whoever is killed meanwhile leaves the row for the next one; it may be called again for
 * what is half removed.
 *
 * Where nobody died it costs a directory listing each of leases, snapshots and trash.
 */
export async function reapAbandoned(
  store: StoreParts,
  cleanOutside: (container: ContainerInfo) => Promise<void> = () => Promise.resolve(),
): Promise<Abandoned> {
  const leases: string[] = [], containers: ContainerInfo[] = [];
  for (const id of await candidates(store.leases)) {
    using lock = FileLock.tryAcquire(store.leases.lockPath(id), { create: true });
    if (lock === undefined) continue;
    for (const container of await deadContainers(store, id)) await cleanOutside(container);
    const reaped = await reapLease(store, id);
    if (reaped === "in use") continue;
    lock.release({ remove: true });
    if (reaped === undefined) continue;
    leases.push(id);
    containers.push(...reaped);
  }
  for (const snapshotter of store.snapshotters.values()) await snapshotter.discardLeftovers();
  await store.content.discardExpiredIngests();
  await store.content.restoreInterrupted();
  await store.trash.empty();
  return { leases, containers };
}

/** Ids of owned leases, and of lock files whose owner died before it had its row, or after. */
async function candidates(leases: LeaseStore): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const { id, owned } of await leases.list()) {
    if (owned) ids.add(id);
  }
  for (const { name } of Deno.readDirSync(leases.directory)) {
    const id = leases.idOfLock(name);
    if (id !== undefined) ids.add(id);
  }
  return ids;
}

/** The containers that die with a lease whose lock is held here; none where somebody else works in one of them. */
function deadContainers(store: StoreParts, id: string): Promise<ContainerInfo[]> {
  return store.leases.objects.database.read(() => {
    if (!store.leases.existsInside(id)) return [];
    const resources = store.leases.resources(id);
    if (resources.some(({ kind, key }) => kind === "snapshot" && isLocked(store, key))) return [];
    return resources.filter(({ kind }) => kind === "container")
      .map(({ key }) => store.containers.findInside(key))
      .filter((container) => container !== undefined);
  });
}

/** Removes a dead lease and what dies with it; undefined where there was none. */
async function reapLease(store: StoreParts, id: string): Promise<ContainerInfo[] | "in use" | undefined> {
  const { database } = store.leases.objects;
  const cleaning: (() => Promise<void>)[] = [];
  const reaped = await database.transaction(() => {
    // Not the first time where somebody was in the way.
    cleaning.length = 0;
    if (!store.leases.existsInside(id)) return undefined;
    const resources = store.leases.resources(id);
    // Somebody else works in its file system, such as the one that inherited its container.
    if (resources.some(({ kind, key }) => kind === "snapshot" && isLocked(store, key))) return "in use";
    const gone: ContainerInfo[] = [];
    for (const { kind, key } of resources) {
      const container = kind === "container" ? store.containers.findInside(key) : undefined;
      if (container === undefined) continue;
      gone.push(container);
      store.containers.deleteInside(key);
    }
    for (const { kind, key } of resources) {
      if (kind === "snapshot") cleaning.push(...reapSnapshot(store, id, key));
    }
    store.leases.deleteInside(id);
    return gone;
  }, { frees: true });
  for (const clean of cleaning) await clean();
  return reaped;
}

function locate(store: StoreParts, objectKey: string): { snapshotter: DirectorySnapshotter | undefined; key: string } {
  const slash = objectKey.indexOf("/");
  return { snapshotter: store.snapshotters.get(objectKey.slice(0, slash)), key: objectKey.slice(slash + 1) };
}

function isLocked(store: StoreParts, objectKey: string): boolean {
  const { snapshotter, key } = locate(store, objectKey);
  return snapshotter?.isLockedInside(key) ?? false;
}

function reapSnapshot(store: StoreParts, lease: string, objectKey: string): (() => Promise<void>)[] {
  const { snapshotter, key } = locate(store, objectKey);
  const info = snapshotter?.findInside(key);
  // Committed ones are layers, which are garbage or not by what refers to them.
  if (snapshotter === undefined || info === undefined || info.kind === "committed") return [];
  const { database, namespace } = store.leases.objects;
  const user = database.get(
    "SELECT 1 FROM refs WHERE namespace = ? AND to_kind = 'snapshot' AND to_key = ? " +
      "AND NOT (from_kind = 'lease' AND from_key = ?) LIMIT 1",
    namespace,
    objectKey,
    lease,
  );
  return user === undefined ? [snapshotter.removeInside(key)] : [];
}
