/**
 * `containerd.services.snapshots.v1.Snapshots`: root file systems as layers over layers.
 *
 * @module
 */
import {
  type CleanupRequest,
  type CommitSnapshotRequest,
  type Info,
  type ListSnapshotsRequest,
  type ListSnapshotsResponse,
  type MountsRequest,
  type MountsResponse,
  type PrepareSnapshotRequest,
  type PrepareSnapshotResponse,
  type RemoveSnapshotRequest,
  type SnapshotsDefinition,
  type StatSnapshotRequest,
  type StatSnapshotResponse,
  type UpdateSnapshotRequest,
  type UpdateSnapshotResponse,
  type UsageRequest,
  type UsageResponse,
  type ViewSnapshotRequest,
  type ViewSnapshotResponse,
} from "../../api/gen/services/snapshots/v1/snapshots.ts";
import type { Mount as MountMessage } from "../../api/gen/types/mount.ts";
import { Failure } from "../../api/errors.ts";
import { type CallContext, leaseOf, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import type { Mount, Snapshotter } from "../snapshots/snapshotter.ts";
import type { Stores } from "../store.ts";
import { eventKinds } from "./event_kinds.ts";
import { applyMask } from "./field_mask.ts";
import { lacksMappedMounts, withoutMaps } from "./mapped_mounts.ts";
import { announce, type Publisher } from "./parts.ts";
import { mountMessage, snapshotFilter, snapshotMask, snapshotMessage } from "./snapshot_message.ts";

/** What {@link SnapshotsService} needs. */
export interface SnapshotsParts {
  readonly stores: Stores;
  readonly events: Publisher;
}

/** Most snapshots in one message of a list. */
const batchMax = 100;

/** Mounts as the client can make them. */
function messagesOf(mounts: readonly Mount[], context: CallContext): MountMessage[] {
  const messages = mounts.map(mountMessage);
  return lacksMappedMounts(context) ? withoutMaps(messages) : messages;
}

/** Keeps snapshots. */
export class SnapshotsService implements ServiceOf<typeof SnapshotsDefinition> {
  constructor(private readonly parts: SnapshotsParts) {}

  #snapshotter(name: string, context: CallContext): { snapshotter: Snapshotter; namespace: string } {
    if (name === "") throw new Failure("InvalidArgument", "snapshotter argument missing");
    const namespace = namespaceOf(context);
    const snapshotter = this.parts.stores.of(namespace).snapshotters.get(name);
    if (snapshotter === undefined) throw new Failure("InvalidArgument", `snapshotter not loaded: ${name}`);
    return { snapshotter, namespace };
  }

  async prepare(request: PrepareSnapshotRequest, context: CallContext): Promise<PrepareSnapshotResponse> {
    const { key, parent } = request;
    const { snapshotter, namespace } = this.#snapshotter(request.snapshotter, context);
    const mounts = await snapshotter.prepare(key, newOptions(request, context));
    const event = { key, parent, snapshotter: snapshotter.name };
    announce(this.parts.events, namespace, eventKinds.snapshotPrepare, event);
    return { mounts: messagesOf(mounts, context) };
  }

  async view(request: ViewSnapshotRequest, context: CallContext): Promise<ViewSnapshotResponse> {
    const { snapshotter } = this.#snapshotter(request.snapshotter, context);
    const mounts = await snapshotter.view(request.key, newOptions(request, context));
    return { mounts: messagesOf(mounts, context) };
  }

  async mounts({ snapshotter: name, key }: MountsRequest, context: CallContext): Promise<MountsResponse> {
    const { snapshotter } = this.#snapshotter(name, context);
    return { mounts: messagesOf(await snapshotter.mounts(key), context) };
  }

  async commit(request: CommitSnapshotRequest, context: CallContext): Promise<Record<never, never>> {
    const { key, name, labels, parent } = request;
    const { snapshotter, namespace } = this.#snapshotter(request.snapshotter, context);
    await snapshotter.commit(key, name, {
      labels,
      ...(parent === "" ? {} : { parent }),
      lease: leaseOf(context),
      signal: context.signal,
    });
    const event = { key, name, snapshotter: snapshotter.name };
    announce(this.parts.events, namespace, eventKinds.snapshotCommit, event);
    return {};
  }

  async remove({ snapshotter: name, key }: RemoveSnapshotRequest, context: CallContext): Promise<Record<never, never>> {
    const { snapshotter, namespace } = this.#snapshotter(name, context);
    await snapshotter.removeSoon(key, context.signal);
    announce(this.parts.events, namespace, eventKinds.snapshotRemove, { key, snapshotter: name });
    return {};
  }

  async stat({ snapshotter: name, key }: StatSnapshotRequest, context: CallContext): Promise<StatSnapshotResponse> {
    const { snapshotter } = this.#snapshotter(name, context);
    return { info: snapshotMessage(await snapshotter.stat(key, leaseOf(context))) };
  }

  async update(request: UpdateSnapshotRequest, context: CallContext): Promise<UpdateSnapshotResponse> {
    const { snapshotter } = this.#snapshotter(request.snapshotter, context);
    const { info: given, updateMask: mask = [] } = request;
    // containerd has no more words for it.
    if (given === undefined || given.name === "") throw new Failure("InvalidArgument", "invalid argument");
    const info = await snapshotter.update(given.name, (stored) => {
      const labelled = { key: stored.key, labels: stored.labels };
      const replacement = { key: stored.key, labels: given.labels };
      return mask.length === 0 ? given.labels : applyMask(snapshotMask, mask, labelled, replacement).labels;
    }, context.signal);
    return { info: snapshotMessage(info) };
  }

  async *list(
    { snapshotter: name, filters }: ListSnapshotsRequest,
    context: CallContext,
  ): AsyncGenerator<ListSnapshotsResponse> {
    const { snapshotter } = this.#snapshotter(name, context);
    const passes = snapshotFilter(filters);
    let batch: Info[] = [];
    for await (const page of snapshotter.pages(context.signal)) {
      for (const info of page) {
        if (passes !== undefined && !passes(info)) continue;
        batch.push(snapshotMessage(info));
        if (batch.length < batchMax) continue;
        yield { info: batch };
        batch = [];
      }
    }
    if (batch.length > 0) yield { info: batch };
  }

  async usage({ snapshotter: name, key }: UsageRequest, context: CallContext): Promise<UsageResponse> {
    const { snapshotter } = this.#snapshotter(name, context);
    return await snapshotter.usage(key, context.signal);
  }

  async cleanup({ snapshotter: name }: CleanupRequest, context: CallContext): Promise<Record<never, never>> {
    await this.#snapshotter(name, context).snapshotter.cleanup();
    return {};
  }
}

function newOptions({ parent, labels }: PrepareSnapshotRequest | ViewSnapshotRequest, context: CallContext) {
  const { signal } = context;
  return { ...(parent === "" ? {} : { parent }), labels, lease: leaseOf(context), signal };
}
