/**
 * `containerd.services.containers.v1.Containers`: containers as records. Whether one runs is the business of tasks.
 *
 * @module
 */
import { Container } from "../../api/gen/services/containers/v1/containers.ts";
import type {
  ContainersDefinition,
  CreateContainerRequest,
  CreateContainerResponse,
  DeleteContainerRequest,
  GetContainerRequest,
  GetContainerResponse,
  ListContainerMessage,
  ListContainersRequest,
  ListContainersResponse,
  UpdateContainerRequest,
  UpdateContainerResponse,
} from "../../api/gen/services/containers/v1/containers.ts";
import { Failure } from "../../api/errors.ts";
import { type CallContext, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { ContainerInfo, ContainerStore } from "../metadata/container_store.ts";
import type { Stores } from "../store.ts";
import { bodyOf, checkContainer, containerFields, containerMask, messageOf } from "./container_message.ts";
import { eventKinds } from "./event_kinds.ts";
import { applyMask } from "./field_mask.ts";
import { candidateKeys, type Lookup } from "./list_candidates.ts";
import { passesFilters } from "./list_filter.ts";
import { announce, type Publisher } from "./parts.ts";

/** What {@link ContainersService} needs. */
export interface ContainersParts {
  readonly stores: Stores;
  readonly events: Publisher;
}

const lookup: Omit<Lookup, "objects"> = {
  kind: "container",
  field: "id",
  keysSql: "SELECT id FROM containers WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?",
};
/** So many containers are looked up in one turn: some milliseconds. */
const lookupMax = 200;

/** Keeps records of containers. */
export class ContainersService implements ServiceOf<typeof ContainersDefinition> {
  constructor(private readonly parts: ContainersParts) {}

  #store(namespace: string): ContainerStore {
    return this.parts.stores.of(namespace).containers;
  }

  async get({ id }: GetContainerRequest, context: CallContext): Promise<GetContainerResponse> {
    const namespace = namespaceOf(context);
    const info = await this.#store(namespace).find(id);
    if (info === undefined) throw new Failure("NotFound", `container "${id}" in namespace "${namespace}"`);
    return { container: messageOf(info) };
  }

  async list(request: ListContainersRequest, context: CallContext): Promise<ListContainersResponse> {
    const containers: Container[] = [];
    for await (const page of this.#pages(request, context)) for (const info of page) containers.push(messageOf(info));
    return { containers };
  }

  async *listStream(request: ListContainersRequest, context: CallContext): AsyncGenerator<ListContainerMessage> {
    for await (const page of this.#pages(request, context)) {
      for (const info of page) yield { container: messageOf(info) };
    }
  }

  async *#pages({ filters }: ListContainersRequest, context: CallContext): AsyncGenerator<ContainerInfo[]> {
    const store = this.#store(namespaceOf(context));
    const passes = passesFilters(filters, containerFields);
    if (passes === undefined) return yield* store.pages(context.signal);
    const { objects } = store;
    const ids = await candidateKeys(filters, { objects, ...lookup }, context.signal);
    if (ids === undefined) return yield* store.pagesWhere(passes, context.signal);
    // Some at a time: what each of them has may be large.
    for (let start = 0; start < ids.length; start += lookupMax) {
      const some = ids.slice(start, start + lookupMax);
      const found = await objects.database.read(() => some.map((id) => store.findInside(id)), context.signal);
      yield found.filter((info) => info !== undefined).filter(passes);
      if (start > 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  async create(request: CreateContainerRequest, context: CallContext): Promise<CreateContainerResponse> {
    const namespace = namespaceOf(context);
    const container = request.container ?? Container.create();
    checkContainer(container, "create container failed validation");
    const store = this.#store(namespace);
    const created = wallTimeMs();
    const body = bodyOf(container);
    await store.objects.database.transaction(() => {
      if (!store.insertInside(body, created)) throw new Failure("AlreadyExists", `container "${container.id}"`);
    }, { signal: context.signal });
    const { id, image, runtime } = container;
    announce(this.parts.events, namespace, eventKinds.containerCreate, { id, image, runtime });
    return { container: messageOf({ ...body, created, updated: created }) };
  }

  async update(request: UpdateContainerRequest, context: CallContext): Promise<UpdateContainerResponse> {
    const { container: given = Container.create(), updateMask } = request;
    if (given.id === "") throw new Failure("InvalidArgument", "Container.ID required");
    const namespace = namespaceOf(context);
    const store = this.#store(namespace);
    const info = await store.objects.database.transaction(() => {
      const stored = store.findInside(given.id);
      if (stored === undefined) throw this.#notHere(namespace, given.id, "cannot update ");
      const updated = updatedContainer(messageOf(stored), given, updateMask ?? []);
      checkContainer(updated, "update failed validation");
      const next = { ...bodyOf(updated), created: stored.created, updated: wallTimeMs() };
      store.updateInside(next);
      return next;
    }, { signal: context.signal });
    const container = messageOf(info);
    const { id, image, labels, snapshotKey } = container;
    announce(this.parts.events, namespace, eventKinds.containerUpdate, { id, image, labels, snapshotKey });
    return { container };
  }

  async delete({ id }: DeleteContainerRequest, context: CallContext): Promise<Record<never, never>> {
    const namespace = namespaceOf(context);
    const store = this.#store(namespace);
    await store.objects.database.transaction(() => {
      if (!store.deleteInside(id)) throw this.#notHere(namespace, id, "cannot delete ");
    }, { signal: context.signal, frees: true });
    announce(this.parts.events, namespace, eventKinds.containerDelete, { id });
    return {};
  }

  /** containerd has another text where the namespace never had anything. Inside a transaction. */
  #notHere(namespace: string, id: string, action: string): Failure {
    const { database } = this.parts.stores;
    if (database.get("SELECT 1 FROM namespaces WHERE name = ?", namespace) === undefined) {
      return new Failure("NotFound", `${action}container "${id}" in namespace "${namespace}"`);
    }
    // It quotes the id of the one, and not of the other.
    return new Failure("NotFound", action === "cannot delete " ? `container ${id}` : `container "${id}"`);
  }
}

/** Applies the mask; without one everything that may change is taken over, and what may not has to be the same. */
function updatedContainer(stored: Container, given: Container, mask: readonly string[]): Container {
  if (mask.length > 0) return applyMask(containerMask, mask, stored, given);
  if (stored.snapshotter !== given.snapshotter) throw immutable("Snapshotter");
  if (stored.runtime?.name !== (given.runtime?.name ?? "")) throw immutable("Runtime.Name");
  return applyMask(containerMask, Object.keys(containerMask.fields), stored, given);
}

function immutable(field: string): Failure {
  return new Failure("InvalidArgument", `container.${field} field is immutable`);
}
