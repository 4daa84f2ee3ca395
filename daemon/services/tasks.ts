/**
 * `containerd.services.tasks.v1.Tasks`: containers as processes. What runs them is the shim; as long as the daemon has
 * none, no container has a task: every question about one is answered as containerd answers it then, and none can be
 * made.
 *
 * @module
 */
import type { ListTasksResponse, MetricsRequest, MetricsResponse } from "../../api/gen/services/tasks/v1/tasks.ts";
import type { TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import { Failure, messageOf } from "../../api/errors.ts";
import { type CallContext, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { compileFilters } from "../filters/compile.ts";
import type { Stores } from "../store.ts";

interface Named {
  readonly containerId: string;
}

/** Answers for a namespace's tasks. */
export class TasksService implements ServiceOf<typeof TasksDefinition> {
  readonly #stores: Stores;

  constructor({ stores }: { readonly stores: Stores }) {
    this.#stores = stores;
  }

  /** Throws `NotFound` without the container's record, in the words of Containers.Get. */
  async #record(id: string, context: CallContext): Promise<void> {
    const namespace = namespaceOf(context);
    const record = await this.#stores.of(namespace).containers.find(id);
    if (record === undefined) throw new Failure("NotFound", `container "${id}" in namespace "${namespace}"`);
  }

  /** What each method that wants a task begins with; the record comes first. */
  readonly #task = async ({ containerId }: Named, context: CallContext): Promise<never> => {
    await this.#record(containerId, context);
    throw new Failure("NotFound", `task ${containerId} not found`);
  };

  async create({ containerId }: Named, context: CallContext): Promise<never> {
    await this.#record(containerId, context);
    throw new Failure(
      "NotImplemented",
      `create task "${containerId}": this daemon has no shim yet, and containers run by shims only`,
    );
  }

  readonly start = this.#task;
  readonly delete = this.#task;
  readonly deleteProcess = this.#task;
  readonly get = this.#task;
  readonly kill = this.#task;
  readonly resizePty = this.#task;
  readonly closeIO = this.#task;
  readonly pause = this.#task;
  readonly resume = this.#task;
  readonly listPids = this.#task;
  readonly checkpoint = this.#task;
  readonly update = this.#task;
  readonly wait = this.#task;

  async exec(request: Named & { readonly execId: string }, context: CallContext): Promise<never> {
    if (request.execId === "") throw new Failure("InvalidArgument", "exec id cannot be empty");
    return await this.#task(request, context);
  }

  // Async, so that what is thrown is a rejection. The filter is ignored, as containerd does.
  // deno-lint-ignore require-await
  async list(_request: unknown, context: CallContext): Promise<ListTasksResponse> {
    namespaceOf(context);
    return { tasks: [] };
  }

  // As above.
  // deno-lint-ignore require-await
  async metrics({ filters }: MetricsRequest, context: CallContext): Promise<MetricsResponse> {
    try {
      compileFilters(filters);
    } catch (error) {
      // containerd gives this one no class.
      throw new Failure("Unknown", messageOf(error), { cause: error });
    }
    namespaceOf(context);
    return { metrics: [] };
  }
}
