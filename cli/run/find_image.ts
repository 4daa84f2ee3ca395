/**
 * The image of a run: what is here already, or what has to be fetched first.
 *
 * @module
 */
import { Failure, isFailure } from "../../api/errors.ts";
import { version } from "../../api/version.ts";
import type { Platform } from "../../api/oci/image_spec.ts";
import { type ImageView, viewImage } from "../../daemon/images/image_view.ts";
import { hostPlatform } from "../../daemon/sources/platform.ts";
import { parseReference } from "../../daemon/sources/reference.ts";
import { type ImageSource, isLocalSource, openSource } from "../../daemon/sources/source.ts";
import type { Store } from "../../daemon/store.ts";

/** What the user calls the image that barge carries with it, and its name in the store: it is new with each version. */
const builtIn = "hello";
const builtInName = `barge.invalid/hello:${version}`;

/** What the user says about the image. */
export interface ImageRequest {
  /** A reference, `hello`, `oci:…` or `tar:…`. */
  image: string;
  platform: Platform | undefined;
  snapshotter: string;
  pull: "always" | "missing" | "never";
  plainHttp: boolean;
  quiet: boolean;
}

/** The unpacked image. Throws `NotFound` with what to do where it is not here and must not be fetched. */
export async function findImage(store: Store, request: ImageRequest, signal: AbortSignal): Promise<ImageView> {
  const platform = request.platform ?? hostPlatform();
  const view = async (name: string): Promise<ImageView | undefined> => {
    try {
      return await viewImage(store, name, { platform, snapshotter: request.snapshotter });
    } catch (error) {
      // What a disk has changed is fetched anew.
      if (!isFailure(error, "DataLoss") || request.pull === "never") throw error;
      return undefined;
    }
  };
  if (request.image === builtIn) {
    const here = await view(builtInName);
    if (here?.unpacked) return here;
  }
  const isOwn = request.image === builtIn || isLocalSource(request.image);
  if (!isOwn && request.pull !== "always") {
    const { name } = parseReference(request.image);
    const here = await view(name);
    if (here?.unpacked) return here;
    if (here === undefined && request.pull === "never") {
      const message = `image "${name}" is not here, and --pull never forbids to fetch it; leave the flag out`;
      throw new Failure("NotFound", message);
    }
  }
  await using source = await open(request, signal);
  if (isOwn) {
    const here = await view(source.name);
    // A local source is asked each time, cheaply, whether the name still means the same.
    if (here?.unpacked && here.target.digest === (await source.resolve(signal)).digest) return here;
  }
  await pull(store, source, request, platform, signal);
  const pulled = await view(source.name);
  if (pulled === undefined) throw new Failure("Aborted", `image "${source.name}" was removed while it was pulled`);
  return pulled;
}

async function open(request: ImageRequest, signal: AbortSignal): Promise<ImageSource> {
  if (request.image === builtIn) {
    const { helloSource } = await import("../../daemon/sources/hello.ts");
    return helloSource(builtInName);
  }
  return await openSource(request.image, { plainHttp: request.plainHttp, signal });
}

async function pull(
  store: Store,
  source: ImageSource,
  request: ImageRequest,
  platform: Platform,
  signal: AbortSignal,
): Promise<void> {
  const { pull } = await import("../../daemon/images/pull.ts");
  const { openProgress } = await import("../progress/display.ts");
  using progress = request.quiet || request.image === builtIn ? undefined : openProgress();
  await pull(store, source, {
    platform,
    snapshotter: request.snapshotter,
    signal,
    ...(progress === undefined ? {} : {
      progress: (event) => {
        if (event.kind === "resolved" || event.kind === "layer") progress.add(event);
      },
    }),
  });
  progress?.finish();
}
