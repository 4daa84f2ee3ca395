/**
 * Taking over the snapshots of a stock containerd: rows for directories, which stay where they are.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { type Info, Kind } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { adoptRow } from "../snapshots/adopt_row.ts";
import { type Adoptable, adoptable, adoptedId } from "../snapshots/directory_number.ts";
import { foreignMax } from "../snapshots/foreign_ids.ts";
import { SnapshotRows } from "../snapshots/snapshot_rows.ts";
import { storedLabels } from "../services/stored_labels.ts";
import type { Adoption } from "./adoption.ts";
import { directoriesOf, type MountedDirectories } from "./snapshot_directories.ts";
import { readTime } from "./read_time.ts";
import type { StockSnapshotter, StockViews } from "./stock_daemon.ts";

const kinds: ReadonlyMap<Kind, "active" | "view" | "committed"> = new Map([
  [Kind.ACTIVE, "active"],
  [Kind.VIEW, "view"],
  [Kind.COMMITTED, "committed"],
]);

/** Adopts those of all its snapshotters; what cannot be taken over is reported, with what stands on it. */
export async function adoptSnapshots(adoption: Adoption, snapshotters: readonly StockSnapshotter[]): Promise<void> {
  const { stock, namespace, report } = adoption;
  for (const snapshotter of snapshotters) {
    const { name } = snapshotter;
    const listed = await report.list("snapshot", () => stock.snapshots(namespace, name));
    const known = adoptable.find((other) => other === name);
    const problem = known === undefined
      ? `snapshots of "${name}" cannot be taken over, only those of ${adoptable.join(" and ")}`
      : elsewhere(adoption.root, snapshotter);
    if (known !== undefined && problem === undefined) {
      await adoptListed(adoption, known, snapshotter.directory ?? placeOf(adoption.root, known), listed);
      continue;
    }
    for (const info of listed) {
      await report.attempt(
        "snapshot",
        `${name}/${info.name}`,
        () => Promise.reject(new Failure("NotImplemented", problem!)),
      );
    }
  }
}

function placeOf(root: string, snapshotter: string): string {
  return `${root}/io.containerd.snapshotter.v1.${snapshotter}`;
}

/** Says so where a snapshotter keeps its directories where ours would not look. */
function elsewhere(root: string, { name, directory }: StockSnapshotter): string | undefined {
  if (directory === undefined) return undefined;
  const place = placeOf(root, name);
  const [theirs, ours] = [directory, place].map((path) => statOf(path));
  if (theirs !== undefined && theirs.dev === ours?.dev && theirs.ino === ours.ino) return undefined;
  return `snapshotter "${name}" keeps its snapshots in "${directory}", and only those in "${place}" can be taken over`;
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** `named` is the snapshotter's directory as mounts name it. */
async function adoptListed(adoption: Adoption, snapshotter: Adoptable, named: string, listed: readonly Info[]) {
  const infos = new Map(listed.map((info) => [info.name, info]));
  const sorted = parentsFirst(infos);
  // A trial makes no views over there, so it cannot tell the directories.
  const numbers = adoption.store === undefined
    ? undefined
    : await findDirectories(adoption, snapshotter, named, { infos, sorted });
  await adoption.each("snapshot", sorted, ({ name }) => `${snapshotter}/${name}`, (info) => {
    const kind = kinds.get(info.kind);
    if (kind === undefined) throw new Failure("NotImplemented", "it is of an unknown kind");
    const { name: key, parent } = info;
    const id = numbers === undefined ? undefined : idOf(adoption.root, snapshotter, info, numbers.get(key));
    return ({ objects, objects: { database } }) => {
      foreignMax(database, { snapshotter, rootPath: "", directory: placeOf(adoption.root, snapshotter) });
      return adoptRow(new SnapshotRows(objects, snapshotter), {
        id,
        key,
        kind,
        parent: parent === "" ? null : parent,
        created: readTime(info.createdAt),
        updated: readTime(info.updatedAt),
        labels: storedLabels(info.labels),
      });
    };
  });
}

function idOf(root: string, snapshotter: Adoptable, info: Info, number: number | undefined): number | undefined {
  // Its directory is empty, and nothing tells it.
  if (info.kind === Kind.VIEW && info.parent !== "") return undefined;
  if (number === undefined) throw new Failure("NotFound", "its mounts do not tell its directory");
  const path = `${placeOf(root, snapshotter)}/snapshots/${number}`;
  if (statOf(path)?.isDirectory !== true) throw new Failure("NotFound", `there is no directory "${path}"`);
  return adoptedId(snapshotter, number);
}

interface Listed {
  readonly infos: ReadonlyMap<string, Info>;
  readonly sorted: readonly Info[];
}

/** The number of each directory, as far as mounts tell. */
async function findDirectories(
  { stock, namespace, report }: Adoption,
  snapshotter: Adoptable,
  named: string,
  { infos, sorted }: Listed,
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const note = (key: string | undefined, parent: string, { own, parents }: MountedDirectories) => {
    if (key !== undefined && own !== undefined) found.set(key, own);
    let at = parent;
    for (const number of parents) {
      if (at === "") break;
      found.set(at, number);
      at = infos.get(at)?.parent ?? "";
    }
  };
  for (const { name, parent, kind } of sorted) {
    if (kind !== Kind.ACTIVE && kind !== Kind.VIEW) continue;
    await report.tell("snapshot", `${snapshotter}/${name}`, async () => {
      const mounts = await stock.mounts(namespace, snapshotter, name);
      // The directory of a view on nothing is its own.
      note(
        name,
        parent,
        directoriesOf(snapshotter, named, kind === Kind.VIEW && parent !== "" ? "view" : "active", mounts),
      );
    });
  }
  let views: StockViews | undefined;
  try {
    // Children before their parents: a view on the top of a chain tells of all of it.
    for (const { name, kind } of sorted.toReversed()) {
      if (kind !== Kind.COMMITTED || found.has(name)) continue;
      await report.tell("snapshot", `${snapshotter}/${name}`, async () => {
        views ??= await stock.views(namespace);
        note(undefined, name, directoriesOf(snapshotter, named, "view", await views.mountsOn(snapshotter, name)));
      });
    }
  } finally {
    await views?.[Symbol.asyncDispose]();
  }
  return found;
}

/** A chain that goes in a circle, which no daemon makes, is cut somewhere. */
function parentsFirst(infos: ReadonlyMap<string, Info>): Info[] {
  const sorted = new Set<Info>();
  for (const info of infos.values()) {
    const chain = new Set<Info>();
    let at: Info | undefined = info;
    while (at !== undefined && !sorted.has(at) && !chain.has(at)) {
      chain.add(at);
      at = infos.get(at.parent);
    }
    for (const one of [...chain].reverse()) sorted.add(one);
  }
  return [...sorted];
}
