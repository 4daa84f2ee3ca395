/**
 * Taking over the snapshots of a stock containerd: rows for directories, which stay where they are.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import { type Info, Kind } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { type Adoptable, adoptedId } from "../snapshots/directory_number.ts";
import { foreignMax } from "../snapshots/foreign_ids.ts";
import { SnapshotRows } from "../snapshots/snapshot_rows.ts";
import { storedLabels } from "../services/stored_labels.ts";
import type { Store } from "../store.ts";
import { directoriesOf, type MountedDirectories } from "./snapshot_directories.ts";
import { readTime } from "./read_time.ts";
import type { Report } from "./report.ts";
import type { StockDaemon } from "./stock_daemon.ts";

/** What {@link adoptSnapshots} works on: one snapshotter in one namespace. */
export interface SnapshotPlace {
  readonly stock: StockDaemon;
  readonly store: Store;
  readonly namespace: string;
  readonly snapshotter: Adoptable;
  readonly report: Report;
}

/** Adopts them; what cannot be taken over is reported, with what stands on it. Without a store they are counted. */
export async function adoptSnapshots(
  { store, ...rest }: Omit<SnapshotPlace, "store"> & { readonly store: Store | undefined },
): Promise<void> {
  const { stock, namespace, snapshotter, report } = rest;
  const infos = new Map<string, Info>();
  try {
    for await (const info of stock.snapshots(namespace, snapshotter)) infos.set(info.name, info);
  } catch (error) {
    // It has no such snapshotter, or that is switched off.
    if (isFailure(error, "InvalidArgument")) return;
    throw error;
  }
  if (store === undefined) return report.count("snapshot", infos.size);
  const place = { ...rest, store };
  const directories = await findDirectories(place, infos);
  for (const info of parentsFirst(infos)) {
    await report.attempt("snapshot", info.name, () => adoptOne(place, info, directories.get(info.name)));
  }
}

/** The number of each directory, as far as mounts tell. */
async function findDirectories(place: SnapshotPlace, infos: ReadonlyMap<string, Info>): Promise<Map<string, number>> {
  const { stock, namespace, snapshotter, report } = place;
  const root = `${place.store.root}/io.containerd.snapshotter.v1.${snapshotter}`;
  const found = new Map<string, number>();
  const note = ({ name, parent }: Info, { own, parents }: MountedDirectories) => {
    if (own !== undefined) found.set(name, own);
    let at = parent;
    for (const number of parents) {
      if (at === "") break;
      found.set(at, number);
      at = infos.get(at)?.parent ?? "";
    }
  };
  for (const info of infos.values()) {
    if (info.kind !== Kind.ACTIVE && info.kind !== Kind.VIEW) continue;
    const kind = info.kind === Kind.ACTIVE ? "active" : "view";
    await report.attemptQuietly("snapshot", info.name, async () => {
      note(info, directoriesOf(snapshotter, root, kind, await stock.mounts(namespace, snapshotter, info.name)));
    });
  }
  // Children before their parents: a view on the top of a chain tells of all of it.
  for (const info of parentsFirst(infos).reverse()) {
    if (info.kind !== Kind.COMMITTED || found.has(info.name)) continue;
    await report.attemptQuietly("snapshot", info.name, async () => {
      const mounts = await stock.mountsOfView(namespace, snapshotter, info.name);
      note({ ...info, name: "", parent: info.name }, directoriesOf(snapshotter, root, "view", mounts));
    });
  }
  return found;
}

function parentsFirst(infos: ReadonlyMap<string, Info>): Info[] {
  const sorted = new Set<Info>();
  for (const info of infos.values()) {
    const chain: Info[] = [];
    for (let at: Info | undefined = info; at !== undefined && !sorted.has(at); at = infos.get(at.parent)) {
      if (chain.includes(at)) break;
      chain.push(at);
    }
    for (const one of chain.reverse()) sorted.add(one);
  }
  return [...sorted];
}

async function adoptOne(place: SnapshotPlace, info: Info, number: number | undefined): Promise<void> {
  const { store, snapshotter } = place;
  const { name: key, parent } = info;
  const labels = storedLabels(info.labels);
  const rows = new SnapshotRows(store.objects, snapshotter);
  if (info.kind === Kind.VIEW) {
    // Its directory is empty, and nothing names it: another one does as well.
    if (await store.objects.database.read(() => rows.find(key)) !== undefined) return;
    await store.snapshotter(snapshotter).view(key, { ...(parent === "" ? {} : { parent }), labels });
    return;
  }
  if (number === undefined) throw new Failure("NotFound", "its mounts do not tell its directory");
  const directory = `${store.root}/io.containerd.snapshotter.v1.${snapshotter}`;
  if (!isDirectory(`${directory}/snapshots/${number}`)) {
    throw new Failure("NotFound", `there is no directory "${directory}/snapshots/${number}"`);
  }
  await store.objects.database.transaction(() => {
    if (parent !== "") rows.get(parent);
    foreignMax(store.objects.database, { snapshotter, rootPath: "", directory });
    rows.adopt({
      id: adoptedId(snapshotter, number),
      key,
      kind: info.kind === Kind.ACTIVE ? "active" : "committed",
      parent: parent === "" ? null : parent,
      created: readTime(info.createdAt),
      updated: readTime(info.updatedAt),
    }, labels);
  });
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
