/**
 * The events that the daemon's services publish: topic, type and message of each, as data.
 *
 * @module
 */
import type { MessageType } from "../../api/rpc/definition.ts";
import { ContainerCreate, ContainerDelete, ContainerUpdate } from "../../api/gen/events/container.ts";
import { ContentCreate, ContentDelete } from "../../api/gen/events/content.ts";
import { ImageCreate, ImageDelete, ImageUpdate } from "../../api/gen/events/image.ts";
import { NamespaceCreate, NamespaceDelete, NamespaceUpdate } from "../../api/gen/events/namespace.ts";
import { SandboxCreate, SandboxExit, SandboxStart } from "../../api/gen/events/sandbox.ts";
import { SnapshotCommit, SnapshotPrepare, SnapshotRemove } from "../../api/gen/events/snapshot.ts";

/** One kind of event. */
export interface EventKind<T> {
  readonly topic: string;
  /** Full name of the message, which is the type URL. */
  readonly typeUrl: string;
  readonly message: MessageType<T>;
}

function kind<T>(topic: string, typeUrl: string, message: MessageType<T>): EventKind<T> {
  return { topic, typeUrl, message };
}

/** What the daemon publishes itself. Events of tasks come from shims. */
export const eventKinds = {
  containerCreate: kind("/containers/create", "containerd.events.ContainerCreate", ContainerCreate),
  containerUpdate: kind("/containers/update", "containerd.events.ContainerUpdate", ContainerUpdate),
  containerDelete: kind("/containers/delete", "containerd.events.ContainerDelete", ContainerDelete),
  contentCreate: kind("/content/create", "containerd.events.ContentCreate", ContentCreate),
  contentDelete: kind("/content/delete", "containerd.events.ContentDelete", ContentDelete),
  imageCreate: kind("/images/create", "containerd.services.images.v1.ImageCreate", ImageCreate),
  imageUpdate: kind("/images/update", "containerd.services.images.v1.ImageUpdate", ImageUpdate),
  imageDelete: kind("/images/delete", "containerd.services.images.v1.ImageDelete", ImageDelete),
  namespaceCreate: kind("/namespaces/create", "containerd.events.NamespaceCreate", NamespaceCreate),
  namespaceUpdate: kind("/namespaces/update", "containerd.events.NamespaceUpdate", NamespaceUpdate),
  namespaceDelete: kind("/namespaces/delete", "containerd.events.NamespaceDelete", NamespaceDelete),
  snapshotPrepare: kind("/snapshot/prepare", "containerd.events.SnapshotPrepare", SnapshotPrepare),
  snapshotCommit: kind("/snapshot/commit", "containerd.events.SnapshotCommit", SnapshotCommit),
  snapshotRemove: kind("/snapshot/remove", "containerd.events.SnapshotRemove", SnapshotRemove),
  sandboxCreate: kind("/sandboxes/create", "containerd.events.SandboxCreate", SandboxCreate),
  sandboxStart: kind("/sandboxes/start", "containerd.events.SandboxStart", SandboxStart),
  sandboxExit: kind("/sandboxes/exit", "containerd.events.SandboxExit", SandboxExit),
} as const;
