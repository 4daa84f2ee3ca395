/**
 * `containerd.services.namespaces.v1.Namespaces`. No namespace header is needed; events are published in the namespace
 * that they tell of.
 *
 * @module
 */
import type {
  CreateNamespaceRequest,
  CreateNamespaceResponse,
  DeleteNamespaceRequest,
  GetNamespaceRequest,
  GetNamespaceResponse,
  ListNamespacesRequest,
  ListNamespacesResponse,
  NamespacesDefinition,
  UpdateNamespaceRequest,
  UpdateNamespaceResponse,
} from "../../api/gen/services/namespaces/v1/namespace.ts";
import { Namespace } from "../../api/gen/services/namespaces/v1/namespace.ts";
import { Failure } from "../../api/errors.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import type { CallContext } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { checkLabels } from "../metadata/label_refs.ts";
import { NamespaceStore } from "../metadata/namespace_store.ts";
import type { Stores } from "../store.ts";
import { eventKinds } from "./event_kinds.ts";
import { applyMask, labelPaths, type MaskTable } from "./field_mask.ts";
import { announce, type Publisher } from "./parts.ts";

/** What {@link NamespacesService} needs. */
export interface NamespacesParts {
  readonly stores: Stores;
  readonly events: Publisher;
}

/** Only single labels: without a mask all of them are replaced. */
const mask: MaskTable<Namespace> = { fields: {}, entries: labelPaths.entries, place: () => "" };

/** Keeps namespaces and their labels. */
export class NamespacesService implements ServiceOf<typeof NamespacesDefinition> {
  readonly #store: NamespaceStore;

  constructor(private readonly parts: NamespacesParts) {
    this.#store = new NamespaceStore(parts.stores.database);
  }

  /** A namespace that does not exist has no labels: containerd does not tell it apart. */
  async get({ name }: GetNamespaceRequest): Promise<GetNamespaceResponse> {
    const labels = await this.#store.database.read(() => this.#store.labelsInside(name));
    return { namespace: { name, labels: { ...labels } } };
  }

  /** The filter is ignored, as in containerd. */
  async list(_request: ListNamespacesRequest): Promise<ListNamespacesResponse> {
    const all = await this.#store.database.read(() => this.#store.listInside());
    return { namespaces: all.map(({ name, labels }) => ({ name, labels: { ...labels } })) };
  }

  async create(request: CreateNamespaceRequest, context: CallContext): Promise<CreateNamespaceResponse> {
    const { name, labels } = request.namespace ?? Namespace.create();
    checkIdentifier(name);
    checkLabels(labels, "namespace.Labels: ");
    await this.#store.database.transaction(() => {
      if (!this.#store.insertInside(name, labels)) throw new Failure("AlreadyExists", `namespace "${name}"`);
    }, { signal: context.signal });
    announce(this.parts.events, name, eventKinds.namespaceCreate, { name, labels });
    return { namespace: { name, labels } };
  }

  async update(request: UpdateNamespaceRequest, context: CallContext): Promise<UpdateNamespaceResponse> {
    const { namespace: given = Namespace.create(), updateMask = [] } = request;
    const { name, labels } = given;
    checkIdentifier(name);
    await this.#store.database.transaction(() => {
      const stored = { name, labels: { ...this.#store.labelsInside(name) } };
      const updated = updateMask.length === 0 ? given : applyMask(mask, updateMask, stored, given);
      checkLabels(updated.labels, "namespace.Labels: ");
      this.#store.setLabelsInside(name, updated.labels);
    }, { signal: context.signal });
    announce(this.parts.events, name, eventKinds.namespaceUpdate, { name, labels });
    // containerd answers with an empty one.
    return { namespace: Namespace.create() };
  }

  async delete({ name }: DeleteNamespaceRequest, context: CallContext): Promise<Record<never, never>> {
    await this.#store.database.transaction(() => {
      const contents = this.#store.contentsInside(name);
      if (contents.length > 0) {
        throw new Failure(
          "FailedPrecondition",
          `namespace "${name}" must be empty, but it still has ${contents.join(", ")}`,
        );
      }
      if (!this.#store.deleteInside(name)) throw new Failure("NotFound", `namespace "${name}"`);
    }, { signal: context.signal, frees: true });
    announce(this.parts.events, name, eventKinds.namespaceDelete, { name });
    return {};
  }
}
