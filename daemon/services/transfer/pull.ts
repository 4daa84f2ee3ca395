/**
 * A transfer from a registry to the store.
 *
 * @module
 */
import { Failure } from "../../../api/errors.ts";
import type { OCIRegistry, RegistryResolver } from "../../../api/gen/types/transfer/registry.ts";
import type { ImageStore, UnpackConfiguration } from "../../../api/gen/types/transfer/imagestore.ts";
import { HTTPDebug } from "../../../api/gen/types/transfer/registry.ts";
import type { Platform as WirePlatform } from "../../../api/gen/types/platform.ts";
import type { Platform } from "../../../api/oci/image_spec.ts";
import { fetchContent } from "../../images/fetch.ts";
import type { ProgressListener } from "../../images/progress.ts";
import { fetchAndUnpack } from "../../images/pull.ts";
import { formatPlatform, hostPlatform, normalizePlatform, runsOn } from "../../sources/platform.ts";
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
  /** Told of content and snapshots that are new. */
  readonly announce: ProgressListener;
  /** Told what is wrong with settings that are gone without. */
  readonly warn: (message: string) => void;
  /** Where hosts of registries are described, where the client does not say it. */
  readonly hostDirectories: readonly string[] | undefined;
  /** Layers that are fetched at once; undefined: as usual. */
  readonly atOnce: number | undefined;
  /** Whether images for other platforms than the host's are not unpacked. */
  readonly hostOnly: boolean;
  readonly signal: AbortSignal;
}

/** Performs the transfer. Throws the registry's failures and the store's, `NotImplemented` for options not known here. */
export async function pullImage(registry: OCIRegistry, destination: ImageStore, job: PullJob): Promise<void> {
  const { resolver, reference } = registry;
  checkResolver(resolver);
  const { store, progress, auth, signal, warn } = job;
  const unpacks = destination.unpacks.map((unpack) => unpackOf(job, unpack));
  const hostDir = resolver?.hostDir ?? "";
  const hostDirectories = hostDir === "" ? job.hostDirectories : [hostDir];
  await using source = await openSource(reference, {
    plainHttp: resolver?.defaultScheme === "http",
    ...(hostDirectories === undefined ? {} : { hostDirectories }),
    headers: resolver?.headers ?? {},
    warn,
    signal,
    // The daemon's own user has no say in whose login a client uses.
    findCredentials: (host) =>
      auth === undefined ? Promise.resolve(undefined) : askCredentials(auth, host, reference, signal),
  });
  progress.tell(`Resolving from OCI Registry (${reference})`);
  const target = await source.resolve(signal);
  progress.tell(`Pulling from OCI Registry (${reference})`);
  progress.tell("fetching image content", reference, target);
  const platforms = destination.platforms.map(platformOf);
  const listener: ProgressListener = (event) => {
    job.announce(event);
    progress.pulled(reference, event);
  };
  const atOnce = job.atOnce === undefined ? {} : { atOnce: job.atOnce };
  const shared = { lease: job.lease, signal, progress: listener, ...atOnce };
  for (const { platform, snapshotter } of unpacks) {
    // As containerd: what is not among the platforms that are fetched is not unpacked.
    const fits = platforms.length === 0 || platforms.some((other) => runsOn(normalizePlatform(platform), other));
    if (fits) await fetchAndUnpack(store, source, target, { ...shared, platform, snapshotter });
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

/** Where an image is to be unpacked. Throws `InvalidArgument` for a snapshotter that is not there, or a wrong platform. */
function unpackOf({ store, hostOnly }: PullJob, { platform, snapshotter: given }: UnpackConfiguration) {
  const snapshotter = given === "" ? "overlayfs" : given;
  if (!store.snapshotters.has(snapshotter)) {
    const loaded = [...store.snapshotters.keys()].sort().join(", ");
    throw noUnpack(`snapshotter not loaded: ${snapshotter}: want one of ${loaded}`);
  }
  const wanted = platform === undefined ? hostPlatform() : platformOf(platform);
  if (hostOnly && !runsOn(normalizePlatform(wanted), normalizePlatform(hostPlatform()))) {
    throw noUnpack(`this host does not run ${formatPlatform(wanted)}, and check_platform_supported is set`);
  }
  return { platform: wanted, snapshotter };
}

function noUnpack(why: string): Failure {
  return new Failure("InvalidArgument", `unable to initialize unpacker: no unpack platforms defined: ${why}`);
}

/** What would change the pull and is not known here is refused: ignoring it would fetch from elsewhere. */
function checkResolver(resolver: RegistryResolver | undefined): void {
  if (resolver === undefined) return;
  const { httpDebug, defaultScheme, hostDir, headers } = resolver;
  if (httpDebug !== HTTPDebug.DISABLED) {
    throw new Failure("NotImplemented", "transfer: the log of HTTP of the resolver");
  }
  const wrong = (what: string) => new Failure("InvalidArgument", `transfer: ${what}`);
  if (defaultScheme !== "" && defaultScheme !== "http" && defaultScheme !== "https") {
    throw wrong(`the scheme "${defaultScheme}": want http or https`);
  }
  if (hostDir !== "" && !hostDir.startsWith("/")) {
    throw wrong(`the directory of hosts "${hostDir}": want an absolute path`);
  }
  try {
    new Headers(headers);
  } catch {
    // The values may be secrets, so they are not shown.
    throw wrong(
      `the headers ${
        Object.keys(headers).map((name) => JSON.stringify(name)).join(", ")
      }: want names and printable values`,
    );
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
