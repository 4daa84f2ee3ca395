/**
 * `containerd.services.sandbox.v1.Store`: sandboxes as records. It publishes no events.
 *
 * @module
 */
import type {
  StoreCreateRequest,
  StoreCreateResponse,
  StoreDefinition,
  StoreDeleteRequest,
  StoreDeleteResponse,
  StoreGetRequest,
  StoreGetResponse,
  StoreListRequest,
  StoreListResponse,
  StoreUpdateRequest,
  StoreUpdateResponse,
} from "../../api/gen/services/sandbox/v1/sandbox.ts";
import type { Sandbox } from "../../api/gen/types/sandbox.ts";
import { Failure } from "../../api/errors.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import { type CallContext, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { SandboxStore } from "../metadata/sandbox_store.ts";
import type { Stores } from "../store.ts";
import { applyMask } from "./field_mask.ts";
import { passesFilters } from "./list_filter.ts";
import { type CompleteSandbox, sandboxBody, sandboxFields, sandboxMask, sandboxMessage } from "./sandbox_message.ts";

/** Keeps records of sandboxes. */
export class SandboxStoreService implements ServiceOf<typeof StoreDefinition> {
  constructor(private readonly parts: { readonly stores: Stores }) {}

  #store(context: CallContext): SandboxStore {
    return new SandboxStore(this.parts.stores.of(namespaceOf(context)).objects);
  }

  async create(request: StoreCreateRequest, context: CallContext): Promise<StoreCreateResponse> {
    const store = this.#store(context);
    const sandbox = complete(request.sandbox);
    checkSandboxId(sandbox.sandboxId);
    const created = wallTimeMs();
    const body = { ...sandboxBody(sandbox), created };
    await store.objects.database.transaction(() => {
      if (!store.insertInside(body)) throw new Failure("AlreadyExists", `sandbox "${body.id}"`);
    }, { signal: context.signal });
    return { sandbox: sandboxMessage({ ...body, updated: created }) };
  }

  async update({ sandbox, fields }: StoreUpdateRequest, context: CallContext): Promise<StoreUpdateResponse> {
    const store = this.#store(context);
    const given = complete(sandbox);
    const info = await store.objects.database.transaction(() => {
      const stored = store.findInside(given.sandboxId);
      if (stored === undefined) throw notHere(store, given.sandboxId);
      const updated = updatedSandbox(sandboxMessage(stored), given, fields);
      const next = { ...sandboxBody(updated), created: stored.created, updated: wallTimeMs() };
      store.updateInside(next);
      return next;
    }, { signal: context.signal });
    return { sandbox: sandboxMessage(info) };
  }

  async delete({ sandboxId }: StoreDeleteRequest, context: CallContext): Promise<StoreDeleteResponse> {
    const store = this.#store(context);
    await store.objects.database.transaction(() => {
      if (!store.deleteInside(sandboxId)) throw notHere(store, sandboxId);
    }, { signal: context.signal, frees: true });
    return {};
  }

  async list({ filters }: StoreListRequest, context: CallContext): Promise<StoreListResponse> {
    const store = this.#store(context);
    const passes = passesFilters(filters, sandboxFields, 1);
    const list: Sandbox[] = [];
    for await (const page of store.pages(context.signal)) {
      for (const info of page) if (passes === undefined || passes(info)) list.push(sandboxMessage(info));
    }
    return { list };
  }

  async get({ sandboxId }: StoreGetRequest, context: CallContext): Promise<StoreGetResponse> {
    const store = this.#store(context);
    return await store.objects.database.read(() => {
      const info = store.findInside(sandboxId);
      if (info === undefined) throw notHere(store, sandboxId);
      return { sandbox: sandboxMessage(info) };
    });
  }
}

/** containerd needs the runtime in a request; where it is missing it fails with a panic, which says less. */
function complete(sandbox: Sandbox | undefined): CompleteSandbox {
  if (sandbox === undefined) throw new Failure("InvalidArgument", "sandbox is required");
  const { runtime } = sandbox;
  if (runtime === undefined) throw new Failure("InvalidArgument", "sandbox.Runtime must be set");
  return { ...sandbox, runtime };
}

function checkSandboxId(id: string): void {
  try {
    checkIdentifier(id);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const message = `failed to validate sandbox: invalid sandbox ID: ${error.message}`;
    throw new Failure("InvalidArgument", message, { cause: error });
  }
}

/** Applies the mask; without one everything that may change is taken over, and the runtime's name has to be the same. */
function updatedSandbox(stored: CompleteSandbox, given: CompleteSandbox, mask: readonly string[]): CompleteSandbox {
  if (mask.length > 0) return applyMask(sandboxMask, mask, stored, given);
  if (stored.runtime.name !== given.runtime.name) {
    throw new Failure("InvalidArgument", "sandbox.Runtime.Name field is immutable");
  }
  return applyMask(sandboxMask, Object.keys(sandboxMask.fields), stored, given);
}

/** containerd has another text for a namespace without any. Inside `Database.read` or a transaction. */
function notHere({ objects: { database, namespace } }: SandboxStore, id: string): Failure {
  const any = database.get("SELECT 1 FROM sandboxes WHERE namespace = ? LIMIT 1", namespace);
  return new Failure("NotFound", any === undefined ? "no sandbox buckets" : `bucket "${id}" not found`);
}
