/**
 * The restart monitor: looks at all containers from time to time, and starts or stops those whose labels ask for it. It
 * is a client of the API like any other.
 *
 * @module
 */
import { sleep } from "../../api/abort.ts";
import { isFailure, messageOf } from "../../api/errors.ts";
import type { Container, ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import type { NamespacesDefinition } from "../../api/gen/services/namespaces/v1/namespace.ts";
import type { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { CreateTaskRequest, type TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import type { Process } from "../../api/gen/types/task/task.ts";
import type { ClientOf } from "../../api/rpc/definition.ts";
import type { Logger } from "../log/logger.ts";
import { decide, restartLabels, RestartPauses, RestartSettling } from "./restart_policy.ts";

/** What the monitor asks. */
export interface RestartClients {
  readonly containers: ClientOf<typeof ContainersDefinition>;
  readonly tasks: ClientOf<typeof TasksDefinition>;
  readonly snapshots: ClientOf<typeof SnapshotsDefinition>;
}

/** Options of {@link RestartMonitor}. */
export interface RestartOptions {
  readonly namespaces: ClientOf<typeof NamespacesDefinition>;
  /** Clients that work in a namespace. */
  readonly clientsOf: (namespace: string) => RestartClients;
  readonly log: Logger;
  /** Time between two looks, in milliseconds. */
  readonly intervalMs: number;
}

/** A container that takes longer to be ended or started is left for the next look. */
const changeMsMax = 150_000;
/** Containers that are started or stopped at the same time. */
const atOnce = 8;
const killSignal = 9;

/** See the module. */
export class RestartMonitor implements AsyncDisposable {
  readonly #options: RestartOptions;
  readonly #closing = new AbortController();
  readonly #pauses = new RestartPauses();
  readonly #settling = new RestartSettling();
  readonly #running: Promise<void>;

  /** Begins with the first look after an interval. */
  constructor(options: RestartOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await sleep(this.#options.intervalMs, signal);
      if (signal.aborted) return;
      try {
        await this.look();
      } catch (error) {
        if (!signal.aborted) this.#options.log.error("reconcile", { error });
      }
    }
  }

  /** Looks at all containers once. One that fails keeps no other from what it needs. */
  async look(): Promise<void> {
    const { signal } = this.#closing;
    const waiting: { namespace: string; container: Container }[] = [];
    const { namespaces } = await this.#options.namespaces.list({ filter: "" }, { signal });
    for (const { name: namespace } of namespaces) {
      const filters = [`labels."${restartLabels.status}"`];
      const { containers } = await this.#options.clientsOf(namespace).containers.list({ filters }, { signal });
      waiting.push(...containers.map((container) => ({ namespace, container })));
    }
    const keys = new Set(waiting.map(({ namespace, container }) => `${namespace}/${container.id}`));
    this.#pauses.keep(keys);
    this.#settling.keep(keys);
    const worker = async () => {
      for (let next = waiting.pop(); next !== undefined && !signal.aborted; next = waiting.pop()) {
        const { namespace, container } = next;
        try {
          await this.#reconcile(namespace, container);
        } catch (error) {
          if (signal.aborted) return;
          this.#options.log.warn("cannot reconcile container", {
            error: messageOf(error),
            id: container.id,
            namespace,
          });
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, waiting.length) }, worker));
  }

  async #reconcile(namespace: string, container: Container): Promise<void> {
    const clients = this.#options.clientsOf(namespace);
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(changeMsMax)]);
    const process = await processOf(clients, container.id, signal);
    const key = `${namespace}/${container.id}`;
    const now = performance.now();
    const isSettled = this.#settling.isOver(key, process, now);
    switch (decide(container.labels, process)) {
      case "stop":
        return await endTask(clients, container.id, process, signal);
      case "start": {
        if (!isSettled || !this.#pauses.allows(key, now)) return;
        this.#pauses.started(key, now);
        await start(clients, container, process, signal);
        this.#options.log.info("container is started again", { id: container.id, namespace });
      }
    }
  }

  /** Ends; what is being started or stopped is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }
}

async function processOf({ tasks }: RestartClients, containerId: string, signal: AbortSignal) {
  try {
    return (await tasks.get({ containerId, execId: "" }, { signal })).process;
  } catch (error) {
    if (isFailure(error, "NotFound")) return undefined;
    throw error;
  }
}

/** Kills all of a task's processes and removes it. */
async function endTask(
  { tasks }: RestartClients,
  containerId: string,
  process: Process | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (process === undefined) return;
  await tolerateMissing(tasks.kill({ containerId, execId: "", signal: killSignal, all: true }, { signal }));
  await tolerateMissing(tasks.wait({ containerId, execId: "" }, { signal }));
  await tolerateMissing(tasks.delete({ containerId }, { signal }));
}

async function tolerateMissing(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isFailure(error, "NotFound")) throw error;
  }
}

async function start(
  clients: RestartClients,
  container: Container,
  process: Process | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { id, snapshotter, snapshotKey, labels } = container;
  const count = (Number(labels[restartLabels.count] ?? 0) || 0) + 1;
  await clients.containers.update({
    container: { ...container, labels: { ...labels, [restartLabels.count]: String(count) } },
    updateMask: [`labels.${restartLabels.count}`],
  }, { signal });
  await endTask(clients, id, process, signal);
  const rootfs = snapshotKey === ""
    ? []
    : (await clients.snapshots.mounts({ snapshotter, key: snapshotKey }, { signal })).mounts;
  const log = labels[restartLabels.logUri] ?? "";
  const request = { ...CreateTaskRequest.create(), containerId: id, rootfs, stdout: log, stderr: log };
  await clients.tasks.create(request, { signal });
  await clients.tasks.start({ containerId: id, execId: "" }, { signal });
}
