/**
 * `containerd.services.leases.v1.Leases`: what keeps objects alive until something that has a name refers to them.
 * Leases publish no events.
 *
 * @module
 */
import type {
  AddResourceRequest,
  CreateRequest,
  CreateResponse,
  DeleteRequest,
  DeleteResourceRequest,
  Lease,
  LeasesDefinition,
  ListRequest,
  ListResourcesRequest,
  ListResourcesResponse,
  ListResponse,
} from "../../api/gen/services/leases/v1/leases.ts";
import { Resource } from "../../api/gen/services/leases/v1/leases.ts";
import { Failure } from "../../api/errors.ts";
import { type CallContext, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wireTime } from "../../api/timestamp.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { FieldReader } from "../filters/compile.ts";
import type { LeaseInfo, LeaseStore } from "../leases/lease_store.ts";
import type { Stores } from "../store.ts";
import { checkNamed, leaseResource, resourceMessage } from "./lease_resource.ts";
import { mapField, passesFilters } from "./list_filter.ts";
import type { Collector } from "./parts.ts";
import { storedLabels } from "./stored_labels.ts";

/** What {@link LeasesService} needs. */
export interface LeasesParts {
  readonly stores: Stores;
  readonly collector: Collector;
}

type LeaseMessageInfo = Pick<LeaseInfo, "id" | "created" | "labels">;

/** Keeps leases. */
export class LeasesService implements ServiceOf<typeof LeasesDefinition> {
  constructor(private readonly parts: LeasesParts) {}

  #store(context: CallContext): LeaseStore {
    return this.parts.stores.of(namespaceOf(context)).leases;
  }

  /** Runs a mutation of a lease that exists. Throws `NotFound`. */
  async #change(
    id: string,
    context: CallContext,
    body: (store: LeaseStore) => void,
    { frees = false } = {},
  ): Promise<Record<never, never>> {
    const store = this.#store(context);
    await store.objects.database.transaction(() => {
      if (!store.existsInside(id)) throw missing(id);
      body(store);
    }, { signal: context.signal, frees });
    return {};
  }

  async create(request: CreateRequest, context: CallContext): Promise<CreateResponse> {
    const store = this.#store(context);
    const id = request.id === "" ? newId() : request.id;
    const info = { id, labels: storedLabels(request.labels), created: wallTimeMs() };
    await store.objects.database.transaction(() => {
      if (!store.insertInside(id, info)) throw new Failure("AlreadyExists", `lease "${id}"`);
      // Clients ask for a collection by the deletion of a lease, which they have to make first.
    }, { signal: context.signal, frees: Object.keys(info.labels).length === 0 });
    return { lease: leaseMessage(info) };
  }

  async delete({ id, sync }: DeleteRequest, context: CallContext): Promise<Record<never, never>> {
    await this.#change(id, context, (store) => store.deleteInside(id), { frees: true });
    if (sync) await this.parts.collector.collect(context.signal);
    return {};
  }

  async list({ filters }: ListRequest, context: CallContext): Promise<ListResponse> {
    const store = this.#store(context);
    const passes = passesFilters(filters, leaseFields);
    const leases: Lease[] = [];
    for await (const page of store.pages(context.signal)) {
      for (const info of page) if (passes === undefined || passes(info)) leases.push(leaseMessage(info));
    }
    return { leases };
  }

  async addResource({ id, resource }: AddResourceRequest, context: CallContext): Promise<Record<never, never>> {
    return await this.#change(id, context, (store) => {
      const named = resource ?? Resource.create();
      const { kind, key } = leaseResource(named);
      checkNamed(named);
      store.objects.hold(id, kind, key);
    });
  }

  async deleteResource({ id, resource }: DeleteResourceRequest, context: CallContext): Promise<Record<never, never>> {
    return await this.#change(
      id,
      context,
      (store) => store.releaseInside(id, leaseResource(resource ?? Resource.create())),
      { frees: true },
    );
  }

  async listResources({ id }: ListResourcesRequest, context: CallContext): Promise<ListResourcesResponse> {
    const store = this.#store(context);
    return await store.objects.database.read(() => {
      if (!store.existsInside(id)) throw missing(id);
      return { resources: store.resources(id).map(resourceMessage).filter((resource) => resource !== undefined) };
    });
  }
}

function leaseMessage({ id, created, labels }: LeaseMessageInfo): Lease {
  return { id, createdAt: wireTime(created), labels };
}

function leaseFields({ id, labels }: LeaseInfo): FieldReader {
  return (path) => path[0] === "id" ? id : path[0] === "labels" ? mapField(labels, path) : undefined;
}

/** As containerd makes them: the nanoseconds of the second, and three random bytes. */
function newId(): string {
  const nanoseconds = Math.floor((performance.timeOrigin + performance.now()) % 1000 * 1e6);
  const random = crypto.getRandomValues(new Uint8Array(3)).toBase64({ alphabet: "base64url" });
  return `${nanoseconds}-${random}`;
}

function missing(id: string): Failure {
  return new Failure("NotFound", `lease "${id}"`);
}
