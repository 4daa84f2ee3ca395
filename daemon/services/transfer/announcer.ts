/**
 * Events of what a transfer adds to the stores.
 *
 * @module
 */
import type { ProgressListener, SnapshotProgress } from "../../images/progress.ts";
import { eventKinds } from "../event_kinds.ts";
import { announce, type Publisher } from "../parts.ts";

/** Publishes that content and snapshots are new, as their own services do. */
export function announcer(events: Publisher, namespace: string): ProgressListener {
  return (progress) => {
    if (progress.kind === "stored") {
      const { digest, size } = progress;
      announce(events, namespace, eventKinds.contentCreate, { digest, size });
    } else if (progress.kind === "snapshot") announceSnapshot(events, namespace, progress);
  };
}

function announceSnapshot(
  events: Publisher,
  namespace: string,
  { did, key, parent, name, snapshotter }: SnapshotProgress,
): void {
  switch (did) {
    case "prepare":
      return announce(events, namespace, eventKinds.snapshotPrepare, { key, parent, snapshotter });
    case "commit":
      return announce(events, namespace, eventKinds.snapshotCommit, { key, name, snapshotter });
    case "remove":
      return announce(events, namespace, eventKinds.snapshotRemove, { key, snapshotter });
  }
}
