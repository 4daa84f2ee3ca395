/**
 * `containerd.services.images.v1.Images`: names for root descriptors.
 *
 * @module
 */
import type {
  CreateImageRequest,
  CreateImageResponse,
  DeleteImageRequest,
  GetImageRequest,
  GetImageResponse,
  Image,
  ImagesDefinition,
  ListImagesRequest,
  ListImagesResponse,
  UpdateImageRequest,
  UpdateImageResponse,
} from "../../api/gen/services/images/v1/images.ts";
import { Failure } from "../../api/errors.ts";
import { type CallContext, leaseOf, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { ImageInfo, ImageStore } from "../images/image_store.ts";
import type { Stores } from "../store.ts";
import { eventKinds } from "./event_kinds.ts";
import { applyMask } from "./field_mask.ts";
import {
  checkImage,
  type CompleteImage,
  completeImage,
  epochOr,
  imageBody,
  imageFields,
  imageMask,
  imageMessage,
} from "./image_message.ts";
import { candidateKeys, type Lookup } from "./list_candidates.ts";
import { passesFilters } from "./list_filter.ts";
import { announce, type Collector, type Publisher } from "./parts.ts";

/** What {@link ImagesService} needs. */
export interface ImagesParts {
  readonly stores: Stores;
  readonly events: Publisher;
  readonly collector: Collector;
}

const lookup: Omit<Lookup, "objects"> = {
  kind: "image",
  field: "name",
  keysSql: "SELECT name FROM images WHERE namespace = ? AND name > ? ORDER BY name LIMIT ?",
};

/** Keeps names of images. */
export class ImagesService implements ServiceOf<typeof ImagesDefinition> {
  constructor(private readonly parts: ImagesParts) {}

  #store(namespace: string): ImageStore {
    return this.parts.stores.of(namespace).images;
  }

  async get({ name }: GetImageRequest, context: CallContext): Promise<GetImageResponse> {
    const info = await this.#store(namespaceOf(context)).find(name);
    if (info === undefined) throw missing(name);
    return { image: imageMessage(info) };
  }

  async list({ filters }: ListImagesRequest, context: CallContext): Promise<ListImagesResponse> {
    const store = this.#store(namespaceOf(context));
    const passes = passesFilters(filters, imageFields);
    const images: Image[] = [];
    const take = (info: ImageInfo) => {
      if (passes === undefined || passes(info)) images.push(imageMessage(info));
    };
    const { objects } = store;
    const names = passes && await candidateKeys(filters, { objects, ...lookup }, context.signal);
    if (names === undefined) { for await (const page of store.pages(context.signal)) page.forEach(take); }
    else {
      const found = await objects.database.read(() => names.map((name) => store.findInside(name)), context.signal);
      for (const info of found) if (info !== undefined) take(info);
    }
    return { images };
  }

  async create(request: CreateImageRequest, context: CallContext): Promise<CreateImageResponse> {
    const image = completeImage(request.image);
    if (image.name === "") throw new Failure("InvalidArgument", "Image.Name required");
    const namespace = namespaceOf(context);
    checkImage(image);
    const store = this.#store(namespace);
    const created = epochOr(wallTimeMs(), request.sourceDateEpoch);
    const body = imageBody(image);
    await store.objects.database.transaction(() => {
      if (store.insertInside({ ...body, created }, leaseOf(context))) return;
      throw new Failure("AlreadyExists", `image "${image.name}"`);
    }, { signal: context.signal });
    const { name, labels } = body;
    announce(this.parts.events, namespace, eventKinds.imageCreate, { name, labels });
    return { image: imageMessage({ ...body, created, updated: created }) };
  }

  async update(request: UpdateImageRequest, context: CallContext): Promise<UpdateImageResponse> {
    const given = completeImage(request.image);
    if (given.name === "") throw new Failure("InvalidArgument", "Image.Name required");
    const namespace = namespaceOf(context);
    const store = this.#store(namespace);
    const updated = epochOr(wallTimeMs(), request.sourceDateEpoch);
    const info = await store.objects.database.transaction(() => {
      const stored = store.findInside(given.name);
      if (stored === undefined) throw missing(given.name);
      const image = updatedImage(imageMessage(stored), given, request.updateMask ?? []);
      checkImage(image);
      const next = { ...imageBody(image), created: stored.created, updated };
      store.updateInside(next, leaseOf(context));
      return next;
    }, { signal: context.signal });
    const { name, labels } = info;
    announce(this.parts.events, namespace, eventKinds.imageUpdate, { name, labels });
    return { image: imageMessage(info) };
  }

  async delete({ name, sync, target }: DeleteImageRequest, context: CallContext): Promise<Record<never, never>> {
    const namespace = namespaceOf(context);
    const store = this.#store(namespace);
    await store.objects.database.transaction(() => {
      const stored = store.findInside(name);
      if (stored === undefined) throw missing(name);
      if (target !== undefined && target.digest !== stored.target.digest) {
        throw new Failure("NotFound", `image "${name}" has target ${stored.target.digest}, not ${target.digest}`);
      }
      store.deleteInside(name);
    }, { signal: context.signal, frees: true });
    announce(this.parts.events, namespace, eventKinds.imageDelete, { name });
    if (sync) await this.parts.collector.collect(context.signal);
    return {};
  }
}

/** Applies the mask; without one the request's image replaces the stored one. */
function updatedImage(stored: CompleteImage, given: CompleteImage, mask: readonly string[]): CompleteImage {
  return mask.length === 0 ? given : applyMask(imageMask, mask, stored, given);
}

function missing(name: string): Failure {
  return new Failure("NotFound", `image "${name}"`);
}
