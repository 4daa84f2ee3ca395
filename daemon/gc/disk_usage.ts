/**
 * What takes the disk below a root.
 *
 * @module
 */
import { directoryNumber } from "../snapshots/directory_number.ts";
import { treeUsage } from "../snapshots/usage.ts";
import type { DeadObject, Reader } from "./reader.ts";

/** One row of the account. Sizes are bytes of disk blocks. */
export interface UsageRow {
  readonly what: string;
  /** Objects, where they are counted. */
  readonly objects?: number;
  readonly size: number;
  /** What a collection now would free of it. */
  readonly reclaimable: number;
}

/** The account of a root; the rows add up to the total, which is what du(1) says of the root. */
export interface UsageAccount {
  readonly rows: readonly UsageRow[];
  readonly total: number;
}

const contentPart = "io.containerd.content.v1.content";
const snapshotterPrefix = "io.containerd.snapshotter.v1.";

/** Counts the root's files. `dead` is what a mark found. Throws what the disk throws. */
export async function diskUsage(root: string, reader: Reader, dead: readonly DeadObject[]): Promise<UsageAccount> {
  const total = (await treeUsage(root)).size;
  const rows: UsageRow[] = [];
  const count = (sql: string, ...values: string[]) => reader.all<{ n: number }>(sql, ...values)[0]!.n;
  rows.push({
    what: "content",
    objects: count("SELECT count(DISTINCT digest) AS n FROM blobs"),
    size: await sizeOf(`${root}/${contentPart}/blobs`),
    reclaimable: await deadContent(root, reader, dead),
  });
  rows.push({
    what: "unfinished writes",
    objects: count("SELECT count(*) AS n FROM ingests"),
    size: await sizeOf(`${root}/${contentPart}/ingest`),
    reclaimable: 0,
  });
  for (const { name } of Deno.readDirSync(root)) {
    if (!name.startsWith(snapshotterPrefix)) continue;
    const snapshotter = name.slice(snapshotterPrefix.length);
    rows.push({
      what: `snapshots (${snapshotter})`,
      objects: count("SELECT count(*) AS n FROM snapshots WHERE snapshotter = ?", snapshotter),
      size: await sizeOf(`${root}/${name}`),
      reclaimable: await deadSnapshots(`${root}/${name}`, snapshotter, reader, dead),
    });
  }
  const trash = await sizeOf(`${root}/trash`);
  rows.push({ what: "trash", size: trash, reclaimable: trash });
  rows.push({ what: "metadata", size: await sizeOf(`${root}/io.barge.metadata.v1.sqlite`), reclaimable: 0 });
  const known = rows.reduce((sum, { size }) => sum + size, 0);
  rows.push({ what: "other", size: total - known, reclaimable: 0 });
  return { rows, total };
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await treeUsage(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    (error instanceof Error && "code" in error && error.code === "ENOENT");
}

/** The files of dead blobs that no other namespace has. */
async function deadContent(root: string, reader: Reader, dead: readonly DeadObject[]): Promise<number> {
  const references = new Map<string, number>();
  for (const { kind, key } of dead) if (kind === "content") references.set(key, (references.get(key) ?? 0) + 1);
  let size = 0;
  for (const [digest, count] of references) {
    const [row] = reader.all<{ n: number }>("SELECT count(*) AS n FROM blobs WHERE digest = ?", digest);
    if (row?.n !== count) continue;
    // A stock containerd's file stays.
    if (reader.all("SELECT 1 FROM foreign_blobs WHERE digest = ?", digest).length > 0) continue;
    const [algorithm, hex] = digest.split(":");
    size += (await Deno.stat(`${root}/${contentPart}/blobs/${algorithm}/${hex}`).catch(() => undefined))?.blocks ?? 0;
  }
  return size * 512;
}

async function deadSnapshots(
  directory: string,
  snapshotter: string,
  reader: Reader,
  dead: readonly DeadObject[],
): Promise<number> {
  let size = 0;
  for (const { namespace, kind, key } of dead) {
    if (kind !== "snapshot" || !key.startsWith(`${snapshotter}/`)) continue;
    const [row] = reader.all<{ id: number }>(
      "SELECT id FROM snapshots WHERE namespace = ? AND snapshotter = ? AND key = ?",
      namespace,
      snapshotter,
      key.slice(snapshotter.length + 1),
    );
    if (row !== undefined) size += await sizeOf(`${directory}/snapshots/${directoryNumber(row.id)}`);
  }
  return size;
}
