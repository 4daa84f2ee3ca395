/**
 * Sandboxes between the API's messages and the store.
 *
 * @module
 */
import { Sandbox } from "../../api/gen/types/sandbox.ts";
import type { Sandbox_Runtime } from "../../api/gen/types/sandbox.ts";
import { wireTime } from "../../api/timestamp.ts";
import type { FieldReader } from "../filters/compile.ts";
import type { SandboxInfo } from "../metadata/sandbox_store.ts";
import { anyBytes, anyOf, withAny } from "./any_bytes.ts";
import { labelPaths, type MaskTable } from "./field_mask.ts";
import { mapField } from "./list_filter.ts";
import { storedLabels } from "./stored_labels.ts";

/** A sandbox's message whose runtime is there. */
export type CompleteSandbox = Sandbox & { readonly runtime: Sandbox_Runtime };

/** What an Update may take over. */
export const sandboxMask: MaskTable<CompleteSandbox> = {
  fields: {
    ...labelPaths.fields,
    extensions: (stored, { extensions }) => ({ ...stored, extensions }),
    spec: (stored, { spec }) => ({ ...stored, spec }),
    runtime: (stored, { runtime }) => ({ ...stored, runtime }),
  },
  entries: {
    ...labelPaths.entries,
    extensions: (stored, given, key) => ({
      ...stored,
      extensions: withAny(stored.extensions, given.extensions, key),
    }),
  },
  place: ({ sandboxId }) => ` on sandbox "${sandboxId}"`,
};

/** A stored sandbox's fields for filters. */
export function sandboxFields({ id, labels }: SandboxInfo): FieldReader {
  return (path) => path[0] === "id" ? id : path[0] === "labels" ? mapField(labels, path) : undefined;
}

/** What the store keeps of a message. */
export function sandboxBody(sandbox: CompleteSandbox): Omit<SandboxInfo, "created" | "updated"> {
  const { sandboxId: id, sandboxer, runtime, extensions, labels } = sandbox;
  const runtimeOptions = anyBytes(runtime.options);
  const spec = anyBytes(sandbox.spec);
  return {
    id,
    sandboxer,
    runtime: runtime.name,
    ...(runtimeOptions === undefined ? {} : { runtimeOptions }),
    ...(spec === undefined ? {} : { spec }),
    ...(Object.keys(extensions).length === 0
      ? {}
      : { extensions: Sandbox.encode({ ...Sandbox.create(), extensions }).finish() }),
    labels: storedLabels(labels),
  };
}

/** A stored sandbox as a message. */
export function sandboxMessage(info: SandboxInfo): CompleteSandbox {
  return {
    sandboxId: info.id,
    runtime: { name: info.runtime, options: anyOf(info.runtimeOptions) },
    spec: anyOf(info.spec),
    labels: info.labels,
    createdAt: wireTime(info.created),
    updatedAt: wireTime(info.updated),
    extensions: info.extensions === undefined ? {} : Sandbox.decode(info.extensions).extensions,
    sandboxer: info.sandboxer,
  };
}
