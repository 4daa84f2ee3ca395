/**
 * Containers between the API's messages and the store, and the rules for what they may be.
 *
 * @module
 */
import { Container } from "../../api/gen/services/containers/v1/containers.ts";
import { Failure } from "../../api/errors.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import { wireTime } from "../../api/timestamp.ts";
import type { FieldReader } from "../filters/compile.ts";
import type { ContainerInfo, ContainerSummary } from "../metadata/container_store.ts";
import { checkLabels } from "../metadata/label_refs.ts";
import { anyBytes, anyOf, withAny } from "./any_bytes.ts";
import { labelPaths, type MaskTable } from "./field_mask.ts";
import { mapField } from "./list_filter.ts";
import { storedLabels } from "./stored_labels.ts";

/** What an Update may take over. */
export const containerMask: MaskTable<Container> = {
  fields: {
    ...labelPaths.fields,
    spec: (stored, { spec }) => ({ ...stored, spec }),
    extensions: (stored, { extensions }) => ({ ...stored, extensions }),
    image: (stored, { image }) => ({ ...stored, image }),
    snapshotkey: (stored, { snapshotKey }) => ({ ...stored, snapshotKey }),
  },
  entries: {
    ...labelPaths.entries,
    extensions: (stored, given, key) => ({
      ...stored,
      extensions: withAny(stored.extensions, given.extensions, key),
    }),
  },
  place: ({ id }) => ` on "${id}"`,
};

/** A stored container's fields for filters. */
export function containerFields(container: ContainerSummary): FieldReader {
  return (path) => {
    switch (path[0]) {
      case "id":
        return container.id;
      case "image":
        return container.image;
      case "runtime":
        return path[1] === "name" ? container.runtime : undefined;
      case "labels":
        return mapField(container.labels, path);
      default:
        return undefined;
    }
  };
}

/** Throws `InvalidArgument` where the store would not take the container, in containerd's words and order. */
export function checkContainer(container: Container, action: string): void {
  const refuse = (text: string, cause?: unknown) =>
    new Failure("InvalidArgument", `${action}: ${text}`, cause === undefined ? {} : { cause });
  try {
    checkIdentifier(container.id);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw refuse(`container.ID: ${error.message}`, error);
  }
  if (Object.hasOwn(container.extensions, "")) throw refuse("container.Extension keys must not be zero-length");
  checkLabels(container.labels, `${action}: containers.Labels: `);
  if ((container.runtime?.name ?? "") === "") throw refuse("container.Runtime.Name must be set");
  if (container.spec === undefined) throw refuse("container.Spec must be set");
  if (container.snapshotKey !== "" && container.snapshotter === "") {
    throw refuse("container.Snapshotter must be set if container.SnapshotKey is set");
  }
}

/** What the store keeps of a message. Labels that are empty are none. */
export function bodyOf(container: Container): Omit<ContainerInfo, "created" | "updated"> {
  const { id, image, snapshotter, snapshotKey, sandbox, runtime, spec, extensions, labels } = container;
  const runtimeOptions = anyBytes(runtime?.options);
  const specBytes = anyBytes(spec);
  return {
    id,
    ...(image === "" ? {} : { image }),
    ...(snapshotter === "" ? {} : { snapshotter }),
    ...(snapshotKey === "" ? {} : { snapshotKey }),
    ...(sandbox === "" ? {} : { sandbox }),
    ...(runtime === undefined ? {} : { runtime: runtime.name }),
    ...(runtimeOptions === undefined ? {} : { runtimeOptions }),
    ...(specBytes === undefined ? {} : { spec: specBytes }),
    ...(Object.keys(extensions).length === 0
      ? {}
      : { extensions: Container.encode({ ...Container.create(), extensions }).finish() }),
    labels: storedLabels(labels),
  };
}

/** A stored container as a message. */
export function messageOf(info: ContainerInfo): Container {
  return {
    id: info.id,
    labels: info.labels,
    image: info.image ?? "",
    // Clients rely on its presence.
    runtime: { name: info.runtime ?? "", options: anyOf(info.runtimeOptions) },
    spec: anyOf(info.spec),
    snapshotter: info.snapshotter ?? "",
    snapshotKey: info.snapshotKey ?? "",
    createdAt: wireTime(info.created),
    updatedAt: wireTime(info.updated),
    extensions: info.extensions === undefined ? {} : Container.decode(info.extensions).extensions,
    sandbox: info.sandbox ?? "",
  };
}
