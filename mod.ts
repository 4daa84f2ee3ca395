/**
 * barge as a library: the pieces that a program needs to run containers itself.
 *
 * ```ts
 * import { openStore, pull, openSource } from "@barge/barge";
 * ```
 *
 * @module
 */
export { Failure, isFailure } from "./api/errors.ts";
export type { Code } from "./api/errors.ts";
export type { Digest } from "./api/digest.ts";
export type { Descriptor, ImageConfig, ImageManifest, Platform } from "./api/oci/image_spec.ts";
export type { Process, Spec } from "./api/oci/runtime_spec.ts";
export { openStore, type Store } from "./daemon/store.ts";
export { pull } from "./daemon/images/pull.ts";
export { type ImageSource, openSource, type SourceOptions } from "./daemon/sources/source.ts";
export { hostPlatform, parsePlatform } from "./daemon/sources/platform.ts";
