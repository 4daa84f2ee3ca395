/**
 * The task service of a shim (`containerd.task.v2.Task`, and `containerd.task.v3.Task`, which has the same methods).
 *
 * @module
 */
import { untilAborted } from "../../api/abort.ts";
import { Failure } from "../../api/errors.ts";
import { TaskCreate } from "../../api/gen/events/task.ts";
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import type { Empty } from "../../api/gen/google/protobuf/empty.ts";
import { DeleteResponse } from "../../api/gen/runtime/task/v2/shim.ts";
import type {
  CheckpointTaskRequest,
  CloseIORequest,
  ConnectRequest,
  ConnectResponse,
  CreateTaskRequest,
  CreateTaskResponse,
  DeleteRequest,
  ExecProcessRequest,
  KillRequest,
  PauseRequest,
  PidsRequest,
  PidsResponse,
  ResizePtyRequest,
  ResumeRequest,
  ShutdownRequest,
  StartRequest,
  StartResponse,
  StateRequest,
  StateResponse,
  StatsRequest,
  StatsResponse,
  TaskDefinition,
  UpdateTaskRequest,
  WaitRequest,
  WaitResponse,
} from "../../api/gen/runtime/task/v2/shim.ts";
import { CheckpointOptions, ProcessDetails } from "../../api/gen/types/runc/options/oci.ts";
import type { CallContext } from "../../api/rpc/context.ts";
import type { ServiceOf } from "../../api/rpc/definition.ts";
import { wireTime, zeroTime } from "../../api/timestamp.ts";
import { parseProcess } from "../oci/spec/parse.ts";
import type { Container } from "./container.ts";
import type { Containers } from "./containers.ts";

const decoder = new TextDecoder();

/** What the service asks of the process that it is in. */
export interface ShimLife {
  /** Containerd has no further use for the container's shim. */
  shutDown(): void;
}

function known(container: Container | undefined): Container {
  if (container === undefined) throw new Failure("NotFound", "container not created");
  return container;
}

/** Answers the daemon. Failures have the texts of containerd's own shim, which clients look at. */
export class TaskService implements ServiceOf<typeof TaskDefinition> {
  constructor(readonly containers: Containers, readonly life: ShimLife) {}

  #container(id: string): Container {
    return known(this.containers.get(id));
  }

  /** As {@link #container}; one that is being made is waited for. */
  async #madeContainer(id: string): Promise<Container> {
    return known(await this.containers.whenMade(id));
  }

  async create(request: CreateTaskRequest): Promise<CreateTaskResponse> {
    const container = await this.containers.create(request);
    const { pid } = container.init;
    const { id, bundle, rootfs, stdin, stdout, stderr, terminal, checkpoint } = request;
    const io = { stdin, stdout, stderr, terminal };
    container.around.events.add("/tasks/create", "TaskCreate", TaskCreate, {
      containerId: id,
      bundle,
      rootfs,
      io,
      checkpoint,
      pid,
    });
    return { pid };
  }

  async start({ id, execId }: StartRequest): Promise<StartResponse> {
    return { pid: await this.#container(id).start(execId) };
  }

  async delete({ id, execId }: DeleteRequest): Promise<DeleteResponse> {
    const container = this.#container(id);
    const process = execId === "" ? container.init : await container.deleteExec(execId);
    if (execId === "") await this.containers.delete(container);
    const { pid, exit } = process;
    const exitedAt = exit === undefined ? zeroTime : wireTime(exit.at);
    const response = { pid, exitStatus: exit?.status ?? 0, exitedAt };
    if (execId === "") container.noteDeleted(DeleteResponse.encode(response).finish());
    return response;
  }

  // deno-lint-ignore require-await -- what is thrown must be a rejection
  async exec({ id, execId, terminal, stdin, stdout, stderr, spec }: ExecProcessRequest): Promise<Empty> {
    const container = this.#container(id);
    const process = parseProcess(decoder.decode(spec?.value ?? new Uint8Array()));
    container.addExec(execId, { terminal, stdin, stdout, stderr }, process);
    return {};
  }

  // deno-lint-ignore require-await -- what is thrown must be a rejection
  async resizePty({ id, execId, width, height }: ResizePtyRequest): Promise<Empty> {
    const process = this.#container(id).process(execId);
    if (process.status === "stopped") throw new Failure("Unknown", "cannot resize a stopped container");
    process.streams?.resize(width, height);
    return {};
  }

  async state({ id, execId }: StateRequest): Promise<StateResponse> {
    const container = await this.#madeContainer(id);
    return container.process(execId).state(container.options.bundle, container.paused);
  }

  async pause({ id }: PauseRequest): Promise<Empty> {
    await this.#container(id).pause();
    return {};
  }

  async resume({ id }: ResumeRequest): Promise<Empty> {
    await this.#container(id).resume();
    return {};
  }

  async kill({ id, execId, signal, all }: KillRequest): Promise<Empty> {
    await this.#container(id).kill(execId, signal, all);
    return {};
  }

  async pids({ id }: PidsRequest): Promise<PidsResponse> {
    const container = this.#container(id);
    const execs = container.execsByPid();
    const pids = await container.options.engine.pids();
    return {
      processes: pids.map((pid) => {
        const execId = execs.get(pid);
        if (execId === undefined) return { pid, info: undefined };
        const value = ProcessDetails.encode({ execId }).finish();
        return { pid, info: { typeUrl: "containerd.runc.v1.ProcessDetails", value } };
      }),
    };
  }

  async closeIO({ id, execId, stdin }: CloseIORequest): Promise<Empty> {
    const container = await this.#madeContainer(id);
    const process = container.process(execId);
    if (stdin) process.closeStdin();
    container.noteChange();
    return {};
  }

  async checkpoint({ id, path, options }: CheckpointTaskRequest): Promise<Empty> {
    const { checkpointTask } = await import("./checkpoint_task.ts");
    await checkpointTask(this.#container(id), path, CheckpointOptions.decode(options?.value ?? new Uint8Array()));
    return {};
  }

  async update({ id, resources }: UpdateTaskRequest): Promise<Empty> {
    await this.#container(id).update(decoder.decode(resources?.value ?? new Uint8Array()));
    return {};
  }

  async wait({ id, execId }: WaitRequest, { signal }: CallContext): Promise<WaitResponse> {
    const { exited } = this.#container(id).process(execId);
    const { status, at } = await untilAborted(exited, signal);
    return { exitStatus: status, exitedAt: wireTime(at) };
  }

  async stats({ id }: StatsRequest): Promise<StatsResponse> {
    const { cgroups } = this.#container(id);
    if (cgroups === undefined) throw new Failure("NotFound", "cgroup does not exist");
    // Most containers are never measured.
    const { measure } = await import("./measure.ts");
    const stats: Any = measure(cgroups);
    return { stats };
  }

  // deno-lint-ignore require-await -- the service's methods are asynchronous
  async connect({ id }: ConnectRequest): Promise<ConnectResponse> {
    return { shimPid: Deno.pid, taskPid: this.containers.get(id)?.init.pid ?? 0, version: "" };
  }

  // deno-lint-ignore require-await -- the service's methods are asynchronous
  async shutdown(_request: ShutdownRequest): Promise<Empty> {
    this.life.shutDown();
    return {};
  }
}
