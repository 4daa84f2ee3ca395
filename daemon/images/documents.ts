/**
 * The JSON documents that an image is made of, read and checked.
 *
 * @module
 */
import { type Digest, isDigest } from "../../api/digest.ts";
import { Failure, messageOf } from "../../api/errors.ts";
import type { ImageConfig, ImageIndex, ImageManifest } from "../../api/oci/image_spec.ts";
import { isDescriptor } from "../sources/descriptor_shape.ts";

/** Bytes of a manifest, index or config that barge reads at most; registries take manifests of 4 MiB at most. */
export const documentBytesMax = 8 << 20;

/** Layers of an image at most. The kernel stacks 500 overlay layers; images beyond are attacks or errors. */
export const layersMax = 500;

const decoder = new TextDecoder("utf-8", { fatal: true });

type JsonObject = Record<string, unknown>;

function parse(bytes: Uint8Array, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw malformed(what, messageOf(error), error);
  }
  if (!isObject(value)) throw malformed(what, "it is not a JSON object");
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(what: string, reason: string, cause?: unknown): Failure {
  return new Failure("InvalidArgument", `${what} is malformed: ${reason}`, cause === undefined ? {} : { cause });
}

/** An index. Throws `InvalidArgument` where it is none. */
export function parseIndex(bytes: Uint8Array, digest: Digest): ImageIndex {
  const what = `image index ${digest}`;
  const { manifests, ...rest } = parse(bytes, what);
  if (!Array.isArray(manifests) || !manifests.every(isDescriptor)) {
    throw malformed(what, '"manifests" is not a list of descriptors');
  }
  return { ...rest, schemaVersion: 2, manifests };
}

/** A manifest. Throws `InvalidArgument` where it is none. */
export function parseManifest(bytes: Uint8Array, digest: Digest): ImageManifest {
  const what = `image manifest ${digest}`;
  const { config, layers, ...rest } = parse(bytes, what);
  if (!isDescriptor(config)) throw malformed(what, '"config" is not a descriptor');
  if (!Array.isArray(layers) || !layers.every(isDescriptor)) {
    throw malformed(what, '"layers" is not a list of descriptors');
  }
  if (layers.length > layersMax) {
    throw malformed(what, `it has ${layers.length} layers, at most ${layersMax} can be used`);
  }
  return { ...rest, schemaVersion: 2, config, layers };
}

/** An image config whose diff ids are as many as the manifest's layers. Throws `InvalidArgument` where it is none. */
export function parseConfig(bytes: Uint8Array, digest: Digest, layers: number): ImageConfig {
  const what = `image config ${digest}`;
  const document = parse(bytes, what);
  const { rootfs, config, os, architecture } = document;
  if (!isObject(rootfs)) throw malformed(what, 'it has no "rootfs", so it is not the config of a container image');
  const { type = "layers", diff_ids: diffIds } = rootfs;
  if (type !== "layers") throw malformed(what, `"rootfs.type" is ${JSON.stringify(type)}: want "layers"`);
  const isDiffId = (id: unknown): id is Digest => typeof id === "string" && isDigest(id);
  if (!Array.isArray(diffIds) || !diffIds.every(isDiffId)) {
    throw malformed(what, '"rootfs.diff_ids" is not a list of digests');
  }
  if (diffIds.length !== layers) {
    throw malformed(what, `number of layers and diffIDs don't match: ${layers} layers, ${diffIds.length} diff ids`);
  }
  if (config !== undefined && config !== null) checkRunConfig(config, what);
  else delete document["config"];
  return {
    // Everything beyond what is checked here is information only; its readers look before they use it.
    ...(document as Partial<ImageConfig>),
    os: typeof os === "string" ? os : "linux",
    architecture: typeof architecture === "string" ? architecture : "",
    rootfs: { type: "layers", diff_ids: diffIds },
  };
}

/** Checks what a run uses. What is null is removed: it is as if it were not there, for Go programs and so for all. */
function checkRunConfig(config: unknown, what: string): void {
  if (!isObject(config)) throw malformed(what, '"config" is not an object');
  for (const [key, value] of Object.entries(config)) if (value === null) delete config[key];
  const isList = (value: unknown) =>
    value === undefined || (Array.isArray(value) && value.every((item) => typeof item === "string"));
  const isText = (value: unknown) => value === undefined || typeof value === "string";
  for (const key of ["Env", "Entrypoint", "Cmd"]) {
    if (!isList(config[key])) throw malformed(what, `"config.${key}" is not a list of strings`);
  }
  for (const key of ["User", "WorkingDir", "StopSignal"]) {
    if (!isText(config[key])) throw malformed(what, `"config.${key}" is not a string`);
  }
  if (config["Volumes"] !== undefined && !isObject(config["Volumes"])) {
    throw malformed(what, '"config.Volumes" is not an object');
  }
}
