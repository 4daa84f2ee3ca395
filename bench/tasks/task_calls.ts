/**
 * The calls that `ctr run --rm` makes for a container's life, made by this process: what they take is the daemon's and
 * the shim's time alone, without a client's start for each.
 *
 * @module
 */
import type { Container } from "../../api/gen/services/containers/v1/containers.ts";
import { ContainersDefinition } from "../../api/gen/services/containers/v1/containers.ts";
import { LeasesDefinition } from "../../api/gen/services/leases/v1/leases.ts";
import { SnapshotsDefinition } from "../../api/gen/services/snapshots/v1/snapshots.ts";
import { CreateTaskRequest, ExecProcessRequest, TasksDefinition } from "../../api/gen/services/tasks/v1/tasks.ts";
import { connect, dialUnix, type GrpcChannel } from "../../api/grpc/client.ts";
import type { Side } from "../daemon/sides.ts";

const namespace = "default";
const processType = "types.containerd.io/opencontainers/runtime-spec/1/Process";

/** One connection to a daemon, over which containers live. Disposing it closes it. */
export class TaskCalls implements Disposable {
  readonly #channel: GrpcChannel;
  readonly #containers;
  readonly #leases;
  readonly #snapshots;
  readonly #tasks;
  #count = 0;
  /** The process of the model's specification. */
  #process: Uint8Array | undefined;
  #model: { container: Container; parent: string } | undefined;

  constructor(private readonly side: Side) {
    this.#channel = connect({ open: dialUnix(side.address), metadata: { "containerd-namespace": namespace } });
    this.#containers = this.#channel.client(ContainersDefinition);
    this.#leases = this.#channel.client(LeasesDefinition);
    this.#snapshots = this.#channel.client(SnapshotsDefinition);
    this.#tasks = this.#channel.client(TasksDefinition);
  }

  /** Takes a container that is there as the model of those to come: they run its program, on a snapshot of its image. */
  async learn(id: string): Promise<void> {
    const { container } = await this.#containers.get({ id });
    const { snapshotter, snapshotKey: key } = container!;
    const { info } = await this.#snapshots.stat({ snapshotter, key });
    this.#model = { container: container!, parent: info!.parent };
    const { process } = JSON.parse(new TextDecoder().decode(container!.spec!.value));
    this.#process = new TextEncoder().encode(JSON.stringify({ ...process, terminal: false }));
  }

  /** A container from its snapshot to its removal, its program's end included; in milliseconds. */
  async live(): Promise<number> {
    const begin = performance.now();
    const id = `${this.side.kind}-calls-${this.#count++}`;
    const { container: model, parent } = this.#model!;
    const { snapshotter } = model;
    await this.#leases.create({ id, labels: {} });
    // Until the container has it, collecting garbage would take the snapshot.
    const lease = { metadata: { "containerd-lease": id } };
    const { mounts } = await this.#snapshots.prepare({ snapshotter, key: id, parent, labels: {} }, lease);
    const container = { ...model, id, snapshotKey: id, spec: specFor(model, id) };
    await this.#containers.create({ container });
    await this.#leases.delete({ id, sync: false });
    await this.#tasks.create(CreateTaskRequest.fromPartial({ containerId: id, rootfs: mounts }));
    const ended = this.#tasks.wait({ containerId: id, execId: "" });
    // Looked at below, or not at all where the start fails.
    ended.catch(() => {});
    await this.#tasks.start({ containerId: id, execId: "" });
    const { exitStatus } = await ended;
    if (exitStatus !== 0) throw new Error(`${id} ended with ${exitStatus}`);
    await this.#tasks.delete({ containerId: id });
    await this.#snapshots.remove({ snapshotter, key: id });
    await this.#containers.delete({ id });
    return performance.now() - begin;
  }

  /** So many of them at once; milliseconds for all. */
  async liveTogether(count: number): Promise<number> {
    const begin = performance.now();
    await Promise.all(Array.from({ length: count }, () => this.live()));
    return performance.now() - begin;
  }

  /** A program in a container that runs, from its creation to its removal; in milliseconds. */
  async exec(containerId: string): Promise<number> {
    const begin = performance.now();
    const execId = `calls-${this.#count++}`;
    const spec = { typeUrl: processType, value: this.#process! };
    await this.#tasks.exec(ExecProcessRequest.fromPartial({ containerId, execId, spec }));
    const ended = this.#tasks.wait({ containerId, execId });
    ended.catch(() => {});
    await this.#tasks.start({ containerId, execId });
    const { exitStatus } = await ended;
    if (exitStatus !== 0) throw new Error(`${execId} ended with ${exitStatus}`);
    await this.#tasks.deleteProcess({ containerId, execId });
    return performance.now() - begin;
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}

/** The model's specification with a cgroup for this container. */
function specFor({ spec }: Container, id: string): { typeUrl: string; value: Uint8Array } {
  const text = JSON.parse(new TextDecoder().decode(spec!.value));
  text.linux.cgroupsPath = `/${namespace}/${id}`;
  return { typeUrl: spec!.typeUrl, value: new TextEncoder().encode(JSON.stringify(text)) };
}
