/**
 * Examining a root: whether the database is whole, and whether it and the files agree. Nothing is changed.
 *
 * @module
 */
import { directoryNumber } from "../snapshots/directory_number.ts";
import { isDigest, parseDigest } from "../../api/digest.ts";
import { messageOf } from "../../api/errors.ts";
import { BlobFiles } from "../content/blob_files.ts";
import { type BlobState, verifyBlob } from "../content/verify.ts";
import type { Reader } from "../gc/reader.ts";
import { stockDatabase } from "../root_lock.ts";
import { examineSnapshots } from "./examine_snapshots.ts";
import type { Finding } from "./finding.ts";
import { isThere } from "../../ffi/is_there.ts";
import { isUnreadable } from "./unreadable.ts";

/** Options of {@link examine}. */
export interface ExamineOptions {
  /** Read every blob and compare its digest, and the files of snapshots with their layers: as slow as the disk. */
  readonly hash: boolean;
  /** Told, in a sentence, what could not be looked at. */
  readonly tell: (sentence: string) => void;
  readonly signal: AbortSignal;
}

const contentPart = "io.containerd.content.v1.content";

/** Looks at everything below the root, with the database as `reader` sees it. */
export async function examine(root: string, reader: Reader, options: ExamineOptions): Promise<Finding[]> {
  return [
    ...examineDatabase(reader),
    ...await examineBlobs(root, reader, options),
    ...unknownBlobFiles(root, reader),
    ...missingSnapshots(root, reader),
    ...options.hash ? await damagedSnapshots(root, reader, options) : [],
    ...danglingReferences(reader),
    ...leftovers(root),
  ];
}

function examineDatabase(reader: Reader): Finding[] {
  const rows = reader.all<{ quick_check: string }>("PRAGMA quick_check(10)");
  return rows.filter(({ quick_check }) => quick_check !== "ok").map(({ quick_check }): Finding => ({
    kind: "damaged database",
    what: "metadata database",
    problem: quick_check,
    remedy: "what can be read of it is copied into a new one, and the old one is set aside",
  }));
}

async function examineBlobs(root: string, reader: Reader, { hash, signal }: ExamineOptions): Promise<Finding[]> {
  const files = new BlobFiles(`${root}/${contentPart}`);
  const findings: Finding[] = [];
  const rows = reader.all<{ namespace: string; digest: string; size: number }>(
    "SELECT namespace, digest, size FROM blobs ORDER BY digest, namespace",
  );
  let last: { digest: string; problem: Pick<Finding, "kind" | "problem"> | undefined } | undefined;
  for (const { namespace, digest, size } of rows) {
    signal.throwIfAborted();
    if (last?.digest !== digest) last = { digest, problem: await blobProblem(files, digest, size, hash, signal) };
    if (last.problem === undefined) continue;
    findings.push({
      ...last.problem,
      what: `blob ${digest} in namespace "${namespace}"`,
      remedy: "it is set aside and forgotten, so that the next pull fetches it anew",
      object: { namespace, kind: "content", key: digest },
    });
  }
  return findings;
}

async function blobProblem(
  files: BlobFiles,
  text: string,
  size: number,
  hash: boolean,
  signal: AbortSignal,
): Promise<Pick<Finding, "kind" | "problem"> | undefined> {
  if (!isDigest(text)) return { kind: "corrupt blob", problem: "its row's digest is none" };
  const digest = parseDigest(text);
  const actual = files.size(digest);
  if (actual === undefined) return { kind: "missing blob", problem: "its file is gone" };
  if (actual !== size) {
    return { kind: "truncated blob", problem: `its file has ${actual} bytes, it should have ${size}` };
  }
  if (!hash) return undefined;
  let state: BlobState;
  try {
    state = await verifyBlob(files, digest, size, signal);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return { kind: "corrupt blob", problem: `its file cannot be read: ${messageOf(error)}` };
  }
  return state.state === "whole"
    ? undefined
    : { kind: "corrupt blob", problem: "its file has other content than the digest says" };
}

/** Files that no namespace knows: of a writer that was killed in its last moment, or of a stock containerd before. */
function unknownBlobFiles(root: string, reader: Reader): Finding[] {
  const known = new Set(
    reader.all<{ digest: string }>("SELECT DISTINCT digest FROM blobs").map(({ digest }) => digest),
  );
  const isStock = isThere(`${root}/${stockDatabase}`);
  const findings: Finding[] = [];
  for (const algorithm of entries(`${root}/${contentPart}/blobs`)) {
    for (const hex of entries(`${root}/${contentPart}/blobs/${algorithm}`)) {
      const digest = `${algorithm}:${hex}`;
      if (known.has(digest) || !isDigest(digest)) continue;
      findings.push({
        kind: "unknown blob file",
        what: `file of blob ${digest}`,
        problem: isStock
          ? "no namespace of barge has it: it is the stock containerd's, see barge adopt"
          : "no namespace has it: its writer was killed",
        ...(isStock ? {} : { remedy: "it is removed" }),
        path: `${root}/${contentPart}/blobs/${algorithm}/${hex}`,
      });
    }
  }
  return findings;
}

function missingSnapshots(root: string, reader: Reader): Finding[] {
  // A view on a snapshot is that snapshot, and does without a directory.
  const rows = reader.all<{ id: number; namespace: string; snapshotter: string; key: string }>(
    "SELECT id, namespace, snapshotter, key FROM snapshots WHERE snapshotter IN ('overlayfs', 'native') " +
      "AND NOT (kind = 'view' AND parent IS NOT NULL)",
  );
  return rows.filter(({ id, snapshotter }) =>
    !isThere(`${root}/io.containerd.snapshotter.v1.${snapshotter}/snapshots/${directoryNumber(id)}`)
  )
    .filter(({ snapshotter }) => !hasOtherRoot(reader, snapshotter))
    .map(({ namespace, snapshotter, key }): Finding => ({
      kind: "missing snapshot",
      what: `snapshot "${snapshotter}/${key}" in namespace "${namespace}"`,
      problem: "its directory is gone",
      remedy: "it is forgotten, with what stands on it, so that the next pull unpacks it anew",
      object: { namespace, kind: "snapshot", key: `${snapshotter}/${key}` },
    }));
}

async function damagedSnapshots(root: string, reader: Reader, { signal, tell }: ExamineOptions): Promise<Finding[]> {
  const { findings, unchecked } = await examineSnapshots({
    root,
    reader,
    files: new BlobFiles(`${root}/${contentPart}`),
    hasOtherRoot: (snapshotter) => hasOtherRoot(reader, snapshotter),
    signal,
  });
  if (unchecked > 0) {
    tell(
      `${unchecked} committed snapshot${unchecked === 1 ? " was" : "s were"} not compared: ` +
        "no image that is here says what should be in them, or the layer's blob is not here",
    );
  }
  return findings;
}

/** Whether a snapshotter keeps its directories elsewhere, as configured: that place is not looked at. */
function hasOtherRoot(reader: Reader, snapshotter: string): boolean {
  return reader.all("SELECT 1 FROM snapshot_roots WHERE snapshotter = ? AND root_path <> ''", snapshotter).length > 0;
}

const danglingQuery = `
  SELECT namespace, from_kind AS kind, from_key AS key, to_kind AS toKind, to_key AS toKey FROM refs
  WHERE (name = 'target' AND NOT EXISTS (SELECT 1 FROM blobs
      WHERE blobs.namespace = refs.namespace AND digest = to_key))
    OR (name IN ('parent', 'rootfs') AND NOT EXISTS (SELECT 1 FROM snapshots
      WHERE snapshots.namespace = refs.namespace AND snapshotter || '/' || key = to_key))`;

function danglingReferences(reader: Reader): Finding[] {
  return reader.all<{ namespace: string; kind: string; key: string; toKind: string; toKey: string }>(danglingQuery)
    .map(({ namespace, kind, key, toKind, toKey }): Finding => ({
      kind: "dangling reference",
      what: `${kind} "${key}" in namespace "${namespace}"`,
      problem: `it refers to ${toKind === "content" ? "blob" : toKind} ${toKey}, which does not exist`,
    }));
}

function leftovers(root: string): Finding[] {
  return entries(`${root}/trash`).map((name): Finding => ({
    kind: "leftover",
    what: `"${root}/trash/${name}"`,
    problem: "it was thrown away and is still there",
    remedy: "it is removed",
    path: `${root}/trash/${name}`,
  }));
}

function entries(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
