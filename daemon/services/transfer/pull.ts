/**
 * A transfer from a registry to the store.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { OCIRegistry } from "../../../api/gen/types/transfer/registry.ts";
import type { ImageStore } from "../../../api/gen/types/transfer/imagestore.ts";
import { HTTPDebug } from "../../../api/gen/types/transfer/registry.ts";
import type { Platform as WirePlatform } from "../../../api/gen/types/platform.ts";
import type { Platform } from "../../../api/oci/image_spec.ts";
import { fetchContent } from "../../images/fetch.ts";
import { fetchAndUnpack } from "../../images/pull.ts";
import { hostPlatform, normalizePlatform, runsOn } from "../../sources/platform.ts";
import { openSource } from "../../sources/source.ts";
import type { Store } from "../../store.ts";
import type { MessageStream } from "../../streams/message_stream.ts";
import { askCredentials } from "./credentials_stream.ts";
import type { ProgressStream } from "./progress_stream.ts";
import { type StoredImages, storeImage } from "./store_image.ts";

/** What a pull works with. */
export interface PullJob {
  readonly store: Store;
  readonly images: StoredImages;
  readonly lease: string;
  readonly progress: ProgressStream;
  readonly auth: MessageStream | undefined;
  readonly signal: AbortSignal;
}

/** Performs the transfer. Throws the registry's failures and the store's, `NotImplemented` for options not known here. */
export async function pullImage(registry: OCIRegistry, destination: ImageStore, job: PullJob): Promise<void> {
  const { resolver, reference } = registry;
  refuseUnknown(registry);
  const { store, progress, auth, signal } = job;
  await using source = await openSource(reference, {
    plainHttp: resolver?.defaultScheme === "http",
    signal,
    // The daemon's own user has no say in whose login a client uses.
    findCredentials: (host) =>
      auth === undefined ? Promise.resolve(undefined) : askCredentials(auth, host, reference, signal),
  });
  progress.tell(`Resolving from OCI Registry (${reference})`);
  const target = await source.resolve(signal);
  progress.tell(`Pulling from OCI Registry (${reference})`);
  progress.tell("fetching image content", destination.name || source.name);
  const platforms = destination.platforms.map(platformOf);
  const listener = (event: Parameters<typeof progress.blob>[1]) => progress.blob(destination.name, event);
  const shared = { lease: job.lease, signal, progress: listener };
  for (const { platform, snapshotter } of destination.unpacks) {
    const wanted = platform === undefined ? hostPlatform() : platformOf(platform);
    // As containerd: what cannot be unpacked here is fetched all the same.
    const fits = platforms.length === 0 || platforms.some((other) => runsOn(normalizePlatform(wanted), other));
    if (!fits || !store.snapshotters.has(snapshotter || "overlayfs")) continue;
    await fetchAndUnpack(store, source, target, {
      ...shared,
      platform: wanted,
      snapshotter: snapshotter || "overlayfs",
    });
  }
  await fetchContent(store.content, source, target, {
    ...shared,
    platforms,
    manifestLimit: destination.manifestLimit,
    allMetadata: destination.allMetadata,
  });
  await storeImage(destination, destination.name || source.name, target, job);
  progress.tell(`Completed pull from OCI Registry (${reference})`);
}

/** What would change the pull and is not known here is refused: ignoring it would fetch from elsewhere. */
function refuseUnknown({ resolver }: OCIRegistry): void {
  if (resolver === undefined) return;
  const refuse = (what: string) => new Failure("NotImplemented", `transfer: ${what} of the resolver`);
  if (resolver.hostDir !== "") throw refuse("the directory of hosts");
  if (Object.keys(resolver.headers).length > 0) throw refuse("headers");
  if (resolver.httpDebug !== HTTPDebug.DISABLED) throw refuse("the log of HTTP");
  if (resolver.defaultScheme !== "" && resolver.defaultScheme !== "http" && resolver.defaultScheme !== "https") {
    throw new Failure("InvalidArgument", `transfer: the scheme "${resolver.defaultScheme}": want http or https`);
  }
}

function platformOf({ os, architecture, variant, osVersion, osFeatures }: WirePlatform): Platform {
  return normalizePlatform({
    os,
    architecture,
    ...(variant === "" ? {} : { variant }),
    ...(osVersion === "" ? {} : { "os.version": osVersion }),
    ...(osFeatures.length === 0 ? {} : { "os.features": osFeatures }),
  });
}
