/**
 * Whether a value of a stranger's JSON is a descriptor.
 *
 * @module
 */
import { isDigest } from "../../api/digest.ts";
import type { Descriptor, Platform } from "../../api/oci/image_spec.ts";

/** Everything that is read of a descriptor has its type. Fields that are null are removed: for Go they are not there. */
export function isDescriptor(value: unknown): value is Descriptor {
  if (!isObject(value)) return false;
  removeNulls(value);
  // Every field is checked below before the claim is made.
  const { mediaType, digest, size, urls, annotations, platform } = value as Partial<Record<keyof Descriptor, unknown>>;
  return typeof mediaType === "string" && typeof digest === "string" && isDigest(digest) &&
    typeof size === "number" && Number.isSafeInteger(size) && size >= 0 &&
    isOptional(urls, isTexts) && isOptional(annotations, isTextMap) && isOptional(platform, isPlatform);
}

function isPlatform(value: unknown): boolean {
  if (!isObject(value)) return false;
  removeNulls(value);
  const fields = value as Partial<Record<keyof Platform, unknown>>;
  return isText(fields.os) && isText(fields.architecture) && isOptional(fields.variant, isText) &&
    isOptional(fields["os.version"], isText) && isOptional(fields["os.features"], isTexts);
}

/** Whether the value is a list of strings. */
export function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText);
}

/** Whether the value is an object whose values are strings. */
export function isTextMap(value: unknown): boolean {
  return isObject(value) && Object.values(value).every(isText);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isOptional(value: unknown, test: (value: unknown) => boolean): boolean {
  return value === undefined || test(value);
}

function removeNulls(value: Record<string, unknown>): void {
  for (const key of Object.keys(value)) if (value[key] === null) delete value[key];
}
