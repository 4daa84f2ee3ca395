/**
 * The fields of events that filters can ask for.
 *
 * @module
 */
import { ContainerCreate, ContainerDelete, ContainerUpdate } from "../../api/gen/events/container.ts";
import { ContentCreate, ContentDelete } from "../../api/gen/events/content.ts";
import { ImageCreate, ImageDelete, ImageUpdate } from "../../api/gen/events/image.ts";
import { NamespaceCreate, NamespaceDelete, NamespaceUpdate } from "../../api/gen/events/namespace.ts";
import { SandboxCreate, SandboxExit, SandboxStart } from "../../api/gen/events/sandbox.ts";
import { SnapshotCommit, SnapshotPrepare, SnapshotRemove } from "../../api/gen/events/snapshot.ts";
import * as task from "../../api/gen/events/task.ts";
import type { Envelope } from "../../api/gen/types/event.ts";
import type { MessageType } from "../../api/rpc/definition.ts";
import type { FieldReader } from "../filters/compile.ts";

interface Addressable {
  readonly decode: (bytes: Uint8Array) => object;
  /** Paths of fields that are texts or truths, as filters write them; `labels` stands for every label. */
  readonly paths: readonly string[];
}

function addressable<T extends object>(type: MessageType<T>, ...paths: readonly string[]): Addressable {
  return { decode: (bytes) => type.decode(bytes), paths };
}

/** By type URL. Numbers, times and mounts have no field path in containerd either. */
const payloads: Readonly<Record<string, Addressable>> = {
  "containerd.events.ContainerCreate": addressable(ContainerCreate, "id", "image", "runtime.name"),
  "containerd.events.ContainerUpdate": addressable(ContainerUpdate, "id", "image", "labels", "snapshot_key"),
  "containerd.events.ContainerDelete": addressable(ContainerDelete, "id"),
  "containerd.events.ContentCreate": addressable(ContentCreate, "digest"),
  "containerd.events.ContentDelete": addressable(ContentDelete, "digest"),
  "containerd.services.images.v1.ImageCreate": addressable(ImageCreate, "name", "labels"),
  "containerd.services.images.v1.ImageUpdate": addressable(ImageUpdate, "name", "labels"),
  "containerd.services.images.v1.ImageDelete": addressable(ImageDelete, "name"),
  "containerd.events.NamespaceCreate": addressable(NamespaceCreate, "name", "labels"),
  "containerd.events.NamespaceUpdate": addressable(NamespaceUpdate, "name", "labels"),
  "containerd.events.NamespaceDelete": addressable(NamespaceDelete, "name"),
  "containerd.events.SandboxCreate": addressable(SandboxCreate, "sandbox_id"),
  "containerd.events.SandboxStart": addressable(SandboxStart, "sandbox_id"),
  "containerd.events.SandboxExit": addressable(SandboxExit, "sandbox_id"),
  "containerd.events.SnapshotPrepare": addressable(SnapshotPrepare, "key", "parent", "snapshotter"),
  "containerd.events.SnapshotCommit": addressable(SnapshotCommit, "key", "name", "snapshotter"),
  "containerd.events.SnapshotRemove": addressable(SnapshotRemove, "key", "snapshotter"),
  "containerd.events.TaskCreate": addressable(
    task.TaskCreate,
    "container_id",
    "bundle",
    "io.stdin",
    "io.stdout",
    "io.stderr",
    "io.terminal",
    "checkpoint",
  ),
  "containerd.events.TaskStart": addressable(task.TaskStart, "container_id"),
  "containerd.events.TaskDelete": addressable(task.TaskDelete, "container_id", "id"),
  "containerd.events.TaskExit": addressable(task.TaskExit, "container_id", "id"),
  "containerd.events.TaskOOM": addressable(task.TaskOOM, "container_id"),
  "containerd.events.TaskExecAdded": addressable(task.TaskExecAdded, "container_id", "exec_id"),
  "containerd.events.TaskExecStarted": addressable(task.TaskExecStarted, "container_id", "exec_id"),
  "containerd.events.TaskPaused": addressable(task.TaskPaused, "container_id"),
  "containerd.events.TaskResumed": addressable(task.TaskResumed, "container_id"),
  "containerd.events.TaskCheckpointed": addressable(task.TaskCheckpointed, "container_id", "checkpoint"),
};

/** The full names of the events whose fields can be asked for. */
export const addressableEvents: readonly string[] = Object.keys(payloads);

/**
 * Reads the fields of an envelope: `namespace`, `topic` and `event.…`. Empty ones count as absent, as in containerd. The
 * payload is decoded when the first filter asks for it; one that cannot be decoded has no fields.
 */
export function envelopeFields({ namespace, topic, event }: Envelope): FieldReader {
  let payload: object | undefined;
  return (path) => {
    const [first, ...rest] = path;
    if (first === "namespace") return namespace === "" ? undefined : namespace;
    if (first === "topic") return topic === "" ? undefined : topic;
    if (first !== "event" || event === undefined) return undefined;
    const kind = payloads[event.typeUrl];
    if (kind === undefined) return undefined;
    payload ??= decoded(kind, event.value);
    return fieldOf(payload, rest, kind.paths);
  };
}

function decoded({ decode }: Addressable, value: Uint8Array): object {
  try {
    return decode(value);
  } catch {
    // Events are forwarded without being looked into, so that the first who looks may find garbage.
    return {};
  }
}

function fieldOf(payload: object, path: readonly string[], paths: readonly string[]): string | undefined {
  if (path[0] === "labels" && paths.includes("labels")) {
    const label = entryOf(entryOf(payload, "labels"), path.slice(1).join("."));
    return label === undefined ? undefined : String(label);
  }
  if (!paths.includes(path.join("."))) return undefined;
  let value: unknown = payload;
  for (const name of path) value = entryOf(value, propertyOf(name));
  return value === "" || value === false || value === undefined ? undefined : String(value);
}

/** An own property of a message or map. */
function entryOf(record: unknown, key: string): unknown {
  if (typeof record !== "object" || record === null || !Object.hasOwn(record, key)) return undefined;
  // It is an object with this property, as was looked at.
  return (record as Record<string, unknown>)[key];
}

function propertyOf(name: string): string {
  return name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
