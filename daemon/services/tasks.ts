/**
 * `containerd.services.tasks.v1.Tasks`: containers as processes. What is asked here is answered by the shims that hold
 * them; each question has a deadline but that for the end of a process.
 *
 * @module
 */
import type { Empty } from "../../api/gen/google/protobuf/empty.ts";
import type {
  CheckpointTaskRequest,
  CheckpointTaskResponse,
  CloseIORequest,
  CreateTaskRequest,
  CreateTaskResponse,
  DeleteProcessRequest,
  DeleteResponse,
  DeleteTaskRequest,
  ExecProcessRequest,
  GetRequest,
  GetResponse,
  KillRequest,
  ListPidsRequest,
  ListPidsResponse,
  ListTasksRequest,
  ListTasksResponse,
  MetricsRequest,
  MetricsResponse,
  PauseTaskRequest,
  ResizePtyRequest,
  ResumeTaskRequest,
  StartRequest,
  StartResponse,
  TasksDefinition,
  UpdateTaskRequest,
  WaitRequest,
  WaitResponse,
} from "../../api/gen/services/tasks/v1/tasks.ts";
import type { Metric } from "../../api/gen/types/metrics.ts";
import type { Process } from "../../api/gen/types/task/task.ts";
import { Failure, isFailure, messageOf } from "../../api/errors.ts";
import { checkIdentifier } from "../../api/identifier.ts";
import { type CallContext, namespaceOf } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wireTime } from "../../api/timestamp.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { compileFilters, type Matcher } from "../filters/compile.ts";
import type { ContainerInfo } from "../metadata/container_store.ts";
import { removeTree } from "../metadata/remove_tree.ts";
import type { Stores } from "../store.ts";
import type { TaskManager } from "../tasks/manager.ts";
import type { Task } from "../tasks/task.ts";
import { anyOf } from "./any_bytes.ts";
import type { CheckpointBlobs } from "./checkpoint_blobs.ts";
import { lacksMappedMounts, withMaps } from "./mapped_mounts.ts";
import { namesTaskApi } from "./task_api.ts";
import { checkpointPath, restorePath, UnpackedCheckpoints } from "./tasks_checkpoint.ts";
import { processOf, stoppedProcess, unknownProcess } from "./tasks_process.ts";

/** What {@link TasksService} needs. */
export interface TasksParts {
  readonly stores: Stores;
  readonly tasks: Pick<TaskManager, "create" | "delete" | "get" | "kill" | "list" | "remembered" | "whenMade">;
  /** Checkpoints that are blobs; without it they are refused. Loaded when the first one comes. */
  readonly checkpoints?: () => Promise<CheckpointBlobs>;
}

interface Named {
  readonly containerId: string;
}

/** Whether a spec may have a user namespace: it is read by who needs all of it. */
function mentionsMaps(spec: Uint8Array): boolean {
  return new TextDecoder().decode(spec).includes('"uidMappings"');
}

/** Answers for a namespace's tasks. */
export class TasksService implements ServiceOf<typeof TasksDefinition> {
  readonly #stores: Stores;
  readonly #tasks: TasksParts["tasks"];
  readonly #checkpoints: TasksParts["checkpoints"];
  readonly #unpacked = new UnpackedCheckpoints();

  constructor({ stores, tasks, checkpoints }: TasksParts) {
    this.#stores = stores;
    this.#tasks = tasks;
    this.#checkpoints = checkpoints;
  }

  /** Throws `NotFound` without the container's record, in the words of Containers.Get. */
  async #record(id: string, context: CallContext): Promise<ContainerInfo> {
    const namespace = namespaceOf(context);
    const record = await this.#stores.of(namespace).containers.find(id);
    if (record === undefined) throw new Failure("NotFound", `container "${id}" in namespace "${namespace}"`);
    return record;
  }

  /** What each method that wants a task begins with; the record comes first. */
  async #task({ containerId }: Named, context: CallContext): Promise<Task> {
    await this.#record(containerId, context);
    return this.#tasks.get(namespaceOf(context), containerId);
  }

  /** As {@link #task}, for those who want to know how it ended, or to delete it: it may be a little late for that. */
  async #endedTask({ containerId }: Named, context: CallContext): Promise<Task> {
    await this.#record(containerId, context);
    const namespace = namespaceOf(context);
    return this.#tasks.remembered(namespace, containerId) ?? this.#tasks.get(namespace, containerId);
  }

  async create(request: CreateTaskRequest, context: CallContext): Promise<CreateTaskResponse> {
    const { containerId, stdin, stdout, stderr, terminal, options } = request;
    const record = await this.#record(containerId, context);
    const namespace = namespaceOf(context);
    const runtime = request.runtimePath === "" ? record.runtime ?? "" : request.runtimePath;
    const runtimeOptions = anyOf(record.runtimeOptions);
    if (request.taskApiAddress !== "" || namesTaskApi(options) || namesTaskApi(runtimeOptions)) {
      throw new Failure("NotImplemented", "task_api_address: tasks in a sandbox's shim are not supported");
    }
    const checkpoint = restorePath(runtime, request) || await this.#unpack(request, context);
    const spec = anyOf(record.spec)?.value ?? new Uint8Array();
    const isMapped = lacksMappedMounts(context) && mentionsMaps(spec);
    const snapshotter = isMapped ? this.#stores.of(namespace).snapshotters.get(record.snapshotter ?? "") : undefined;
    const rootfs = isMapped ? await withMaps(request.rootfs, record, snapshotter) : request.rootfs;
    const make = this.#tasks.create({
      namespace,
      id: containerId,
      runtime,
      runtimeOptions,
      spec,
      rootfs,
      request: { stdin, stdout, stderr, terminal, options, checkpoint, parentCheckpoint: "" },
    }, context.signal);
    if (this.#unpacked.isEmpty) return { containerId, pid: (await make).pid };
    try {
      return { containerId, pid: (await make).pid };
    } catch (error) {
      await this.#unpacked.remove(namespace, containerId);
      throw error;
    }
  }

  /** Unpacks the checkpoint that a task is to be restored from; gives its directory, or nothing without one. */
  async #unpack({ containerId, checkpoint }: CreateTaskRequest, context: CallContext): Promise<string> {
    if (checkpoint === undefined) return "";
    const blobs = await this.#blobs();
    const namespace = namespaceOf(context);
    const directory = await this.#unpacked.make(namespace, containerId);
    try {
      await blobs.unpack(checkpoint, directory, context);
    } catch (error) {
      await this.#unpacked.remove(namespace, containerId);
      throw error;
    }
    return directory;
  }

  #blobs(): Promise<CheckpointBlobs> {
    if (this.#checkpoints !== undefined) return this.#checkpoints();
    throw new Failure("NotImplemented", "checkpoints that are blobs need the content store and a differ");
  }

  async start(request: StartRequest, context: CallContext): Promise<StartResponse> {
    const { id, task } = await this.#of(request, context);
    const started = await task.call("start", { id, execId: request.execId }, context.signal);
    // It was read by the start.
    if (!this.#unpacked.isEmpty && request.execId === "") await this.#unpacked.remove(namespaceOf(context), id);
    return started;
  }

  async #of(request: Named, context: CallContext): Promise<{ id: string; task: Task }> {
    return { id: request.containerId, task: await this.#task(request, context) };
  }

  async delete(request: DeleteTaskRequest, context: CallContext): Promise<DeleteResponse> {
    const task = await this.#endedTask(request, context);
    const deleted = await this.#tasks.delete(task, context.signal);
    if (!this.#unpacked.isEmpty) await this.#unpacked.remove(namespaceOf(context), request.containerId);
    return { id: "", ...deleted };
  }

  async deleteProcess(request: DeleteProcessRequest, context: CallContext): Promise<DeleteResponse> {
    const { id, task } = await this.#of(request, context);
    const { execId } = request;
    // Without an exec's id a shim would remove the container, and nobody here its bundle.
    if (execId === "") throw new Failure("InvalidArgument", "exec id cannot be empty");
    return { id: execId, ...await task.call("delete", { id, execId }, context.signal) };
  }

  async get(request: GetRequest, context: CallContext): Promise<GetResponse> {
    const { containerId: id, execId } = request;
    await this.#tasks.whenMade(namespaceOf(context), id, context.signal);
    const task = await this.#endedTask(request, context);
    if (task.exit !== undefined && execId === "") return { process: stoppedProcess(task, task.exit) };
    try {
      return { process: processOf(await task.call("state", { id, execId }, context.signal)) };
    } catch (error) {
      // Clients ask this before they delete a task. If it failed, one whose shim hangs could not be removed by anybody.
      if (!task.sick || execId !== "" || context.signal.aborted) throw error;
      return { process: unknownProcess(task) };
    }
  }

  /** All tasks of the namespace. One whose shim does not answer is shown as unknown. The filter is ignored, as ever. */
  async list(_request: ListTasksRequest, context: CallContext): Promise<ListTasksResponse> {
    const tasks = this.#tasks.list(namespaceOf(context)).filter(({ ending }) => !ending);
    const processes = await Promise.all(tasks.map((task) => this.#listed(task, context.signal)));
    return { tasks: processes.filter((process) => process !== undefined) };
  }

  async #listed(task: Task, signal: AbortSignal): Promise<Process | undefined> {
    const asked = task.call("state", { id: task.id, execId: "" }, signal).then(processOf).catch((error) => {
      signal.throwIfAborted();
      if (isFailure(error, "NotFound")) return undefined;
      return unknownProcess(task);
    });
    if (!task.sick) return await asked;
    // One that did not answer the last time is asked again, and not waited for.
    asked.catch(() => {});
    return unknownProcess(task);
  }

  async kill(request: KillRequest, context: CallContext): Promise<Empty> {
    const { id, task } = await this.#of(request, context);
    const { execId, signal, all } = request;
    await this.#tasks.kill(task, { id, execId, signal, all }, context.signal);
    return {};
  }

  async exec(request: ExecProcessRequest, context: CallContext): Promise<Empty> {
    const { execId, stdin, stdout, stderr, terminal, spec } = request;
    if (execId === "") throw new Failure("InvalidArgument", "exec id cannot be empty");
    const { id, task } = await this.#of(request, context);
    try {
      checkIdentifier(execId);
    } catch (error) {
      throw new Failure("InvalidArgument", `invalid exec id ${execId}: ${messageOf(error)}`, { cause: error });
    }
    return await task.call("exec", { id, execId, stdin, stdout, stderr, terminal, spec }, context.signal);
  }

  async resizePty(request: ResizePtyRequest, context: CallContext): Promise<Empty> {
    const { id, task } = await this.#of(request, context);
    const { execId, width, height } = request;
    return await task.call("resizePty", { id, execId, width, height }, context.signal);
  }

  async closeIO(request: CloseIORequest, context: CallContext): Promise<Empty> {
    await this.#tasks.whenMade(namespaceOf(context), request.containerId, context.signal);
    const { id, task } = await this.#of(request, context);
    if (!request.stdin) return {};
    return await task.call("closeIO", { id, execId: request.execId, stdin: true }, context.signal).catch((error) => {
      // Stock's shims have no code for a process that they do not know.
      const isMissing = isFailure(error, "Unknown") && error.message.endsWith(": not found");
      throw isMissing ? new Failure("NotFound", error.message, { cause: error }) : error;
    });
  }

  async pause(request: PauseTaskRequest, context: CallContext): Promise<Empty> {
    const { id, task } = await this.#of(request, context);
    return await task.call("pause", { id }, context.signal);
  }

  async resume(request: ResumeTaskRequest, context: CallContext): Promise<Empty> {
    const { id, task } = await this.#of(request, context);
    return await task.call("resume", { id }, context.signal);
  }

  async listPids(request: ListPidsRequest, context: CallContext): Promise<ListPidsResponse> {
    const { id, task } = await this.#of(request, context);
    return await task.call("pids", { id }, context.signal);
  }

  async checkpoint(request: CheckpointTaskRequest, context: CallContext): Promise<CheckpointTaskResponse> {
    const record = await this.#record(request.containerId, context);
    const task = this.#tasks.get(namespaceOf(context), record.id);
    const path = checkpointPath(record.runtime ?? "", request);
    const save = (to: string) =>
      task.call("checkpoint", { id: record.id, path: to, options: request.options }, context.signal);
    if (path !== "") {
      // Who names a directory finds the checkpoint there, and no blobs.
      await save(path);
      return { descriptors: [] };
    }
    const blobs = await this.#blobs();
    const directory = await Deno.makeTempDir({ prefix: "ctrd-checkpoint" });
    try {
      await save(directory);
      return { descriptors: await blobs.pack(directory, anyOf(record.spec), context) };
    } finally {
      await removeTree(directory);
    }
  }

  async update(request: UpdateTaskRequest, context: CallContext): Promise<Empty> {
    const { id, task } = await this.#of(request, context);
    const { resources, annotations } = request;
    return await task.call("update", { id, resources, annotations }, context.signal);
  }

  async metrics({ filters }: MetricsRequest, context: CallContext): Promise<MetricsResponse> {
    let matches: Matcher;
    try {
      matches = compileFilters(filters);
    } catch (error) {
      // containerd gives this one no class.
      throw new Failure("Unknown", messageOf(error), { cause: error });
    }
    const { signal } = context;
    const tasks = this.#tasks.list(namespaceOf(context)).filter((task) => !task.ending && matches(fieldsOf(task)));
    const metrics = await Promise.all(tasks.map((task) => metricOf(task, signal)));
    return { metrics: metrics.filter((metric) => metric !== undefined) };
  }

  async wait(request: WaitRequest, context: CallContext): Promise<WaitResponse> {
    const task = await this.#endedTask(request, context);
    const { exitStatus, exitedAt } = await task.wait(request.execId, context.signal);
    return { exitStatus, exitedAt };
  }
}

function fieldsOf({ id, namespace }: Task): Parameters<Matcher>[0] {
  return ([field, ...rest]) =>
    rest.length > 0 ? undefined : field === "id" ? id : field === "namespace" ? namespace : undefined;
}

/** A task's numbers; undefined where its shim has none, as containerd leaves it out then. */
async function metricOf(task: Task, signal: AbortSignal): Promise<Metric | undefined> {
  try {
    const { stats } = await task.call("stats", { id: task.id }, signal);
    return { timestamp: wireTime(wallTimeMs()), id: task.id, data: stats };
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
