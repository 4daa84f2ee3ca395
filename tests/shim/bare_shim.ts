/**
 * A shim of its own with no daemon around it: the test asks it over its socket, and takes its events.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from "../../api/gen/events/task.ts";
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import { TaskDefinition } from "../../api/gen/runtime/task/v3/shim.ts";
import { EventsDefinition } from "../../api/gen/services/ttrpc/events/v1/events.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { type ClientOf, ServiceTable } from "../../api/rpc/definition.ts";
import { connect, dialUnix } from "../../api/ttrpc/client.ts";
import { serve, type TtrpcServer } from "../../api/ttrpc/server.ts";
import { makeRootfs } from "../bundle.ts";
import { barge } from "../command.ts";
import { makeScratch, type Scratch } from "../scratch.ts";
import { patientEnd } from "../patience.ts";

/** An event as a test compares it. */
export interface TakenEvent {
  /** Such as `exit`: the topic without `/tasks/`. */
  readonly what: string;
  readonly containerId: string;
  /** The exec's id, or the container's; empty where the event is of the container. */
  readonly id: string;
  readonly pid: number;
  readonly exitStatus: number;
}

const messages = {
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} as const;

/** What a container of a bare shim is made from. */
export interface BareContainer {
  readonly args: readonly string[];
  /** Changes the spec before it is written. */
  readonly edit?: (spec: FullSpec) => void;
  readonly stdin?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly terminal?: boolean;
  readonly options?: Any;
  /** Directory of a checkpoint. */
  readonly checkpoint?: string;
}

/** A spec with the parts that tests change. */
export type FullSpec = Spec & Required<Pick<Spec, "process" | "linux" | "mounts">>;

/** How a shim is started. */
export interface BareShimOptions {
  /** Words that start the server; its flags follow. Default: barge as it is installed. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const waitMsMax = 30_000;

/** Waits until the condition holds. Throws after 30 s with what `told` says. */
export async function eventually(told: () => string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = patientEnd(waitMsMax); !await condition();) {
    assert(performance.now() < end, told());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** See the module. */
export class BareShim implements AsyncDisposable {
  /** All events that have come, in their order. */
  readonly events: TakenEvent[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #receiver: TtrpcServer;
  readonly #channel;
  readonly #closing = new AbortController();
  /** How the process has ended. */
  readonly status: Promise<Deno.CommandStatus>;
  hasEnded = false;

  private constructor(readonly scratch: Scratch, options: BareShimOptions) {
    const listener = Deno.listen({ transport: "unix", path: `${scratch.path}/events` });
    const services = new ServiceTable().add(EventsDefinition, {
      forward: ({ envelope }) => {
        this.#take(envelope?.topic ?? "", envelope?.event);
        return Promise.resolve({});
      },
    });
    this.#receiver = serve(listener, services);
    const [program, ...words] = options.command ?? [...barge, "shim"];
    this.#child = new Deno.Command(program!, {
      args: [...words, "-namespace", scratch.name, "-id", "first", "-address", "/none", "-socket", this.socket],
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
      env: {
        TTRPC_ADDRESS: `${scratch.path}/events`,
        BARGE_SHIM_GROUP: "namespace",
        BARGE_SHIM_BUNDLE: scratch.path,
        ...options.env,
      },
    }).spawn();
    this.status = this.#child.status;
    this.status.then(() => this.hasEnded = true);
    this.#channel = connect({ open: dialUnix(this.socket) });
  }

  /** Starts one, and waits until it answers. */
  static async start(scratch: Scratch, options: BareShimOptions = {}): Promise<BareShim> {
    await makeRootfs(`${scratch.path}/rootfs`);
    const shim = new BareShim(scratch, options);
    await eventually(() => "the shim does not answer", () => {
      if (shim.hasEnded) throw new Error("the shim has ended");
      return shim.task.connect({ id: "none" }).then(() => true, () => false);
    });
    return shim;
  }

  /** Path of its socket. */
  get socket(): string {
    return `${this.scratch.path}/s`;
  }

  /** Its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** What answers. */
  get task(): ClientOf<typeof TaskDefinition> {
    return this.#channel.client(TaskDefinition);
  }

  #take(topic: string, event: Any | undefined): void {
    const name = event?.typeUrl.split(".").at(-1) ?? "";
    assert(name in messages, `unexpected event ${name}`);
    // Looked up by the name that was just found in the table.
    const decoded = messages[name as keyof typeof messages].decode(event!.value);
    const { containerId, id = "", execId = "", pid = 0, exitStatus = 0 } = decoded as Partial<TakenEvent> & {
      execId?: string;
    };
    this.events.push({
      what: topic.replace("/tasks/", ""),
      containerId: containerId ?? "",
      id: execId === "" ? id : execId,
      pid,
      exitStatus,
    });
  }

  /** Events of a container, in short: `start`, `exit e1 0`. */
  told(containerId: string): string[] {
    return this.events.filter((event) => event.containerId === containerId)
      .map(({ what, id, exitStatus }) => {
        const words = [what, ...(id === "" || id === containerId ? [] : [id])];
        return [...words, ...(what === "exit" || what === "delete" ? [String(exitStatus)] : [])].join(" ");
      });
  }

  /** Waits until a container's events are these. Throws after 30 s. */
  async tells(containerId: string, expected: readonly string[]): Promise<void> {
    const told = () => this.told(containerId);
    await eventually(
      () => `want ${expected.join(", ")}, got ${told().join(", ")}`,
      () => told().length >= expected.length,
    );
    assert.deepEqual(told(), expected);
  }

  /** Path of a container's bundle. */
  bundle(id: string): string {
    return `${this.scratch.path}/bundles/${id}`;
  }

  /** Makes a container, and gives the process id of its first process. */
  async create(id: string, container: BareContainer): Promise<number> {
    const bundle = this.bundle(id);
    await Deno.mkdir(bundle, { recursive: true });
    const spec = specOf(this.scratch, id, container.args);
    container.edit?.(spec);
    // Several clients may want one name, and are refused by the shim: what they write must be whole at each moment.
    const file = `${bundle}/config-${crypto.randomUUID()}`;
    await Deno.writeTextFile(file, JSON.stringify(spec));
    await Deno.rename(file, `${bundle}/config.json`);
    const { stdin = "", stdout = "", stderr = "", terminal = false, options, checkpoint = "" } = container;
    const streams = { stdin, stdout, stderr, terminal };
    const parts = { rootfs: [], checkpoint, parentCheckpoint: "", options };
    return (await this.task.create({ id, bundle, ...streams, ...parts })).pid;
  }

  /** Makes a container and lets it run. */
  async run(id: string, container: BareContainer): Promise<number> {
    const pid = await this.create(id, container);
    await this.task.start({ id, execId: "" });
    return pid;
  }

  /** Waits for the end of a process; gives its exit status. */
  async wait(id: string, execId = ""): Promise<number> {
    return (await this.task.wait({ id, execId })).exitStatus;
  }

  /** Deletes what has ended; gives its exit status. */
  async delete(id: string, execId = ""): Promise<number> {
    const { exitStatus } = await this.task.delete({ id, execId });
    if (execId === "") await Deno.remove(this.bundle(id), { recursive: true });
    return exitStatus;
  }

  /** Adds an exec and lets it run. */
  async exec(
    id: string,
    execId: string,
    args: readonly string[],
    streams: { stdin?: string; stdout?: string; stderr?: string; terminal?: boolean } = {},
  ): Promise<number> {
    const process = { args, cwd: "/", user: { uid: 0, gid: 0 }, env: ["PATH=/bin"] };
    const spec = { typeUrl: "types.containerd.io/Process", value: new TextEncoder().encode(JSON.stringify(process)) };
    const { stdin = "", stdout = "", stderr = "", terminal = false } = streams;
    await this.task.exec({ id, execId, stdin, stdout, stderr, terminal, spec });
    return (await this.task.start({ id, execId })).pid;
  }

  /** Sends a signal to a process of a container. */
  async kill(id: string, signal: number, execId = ""): Promise<void> {
    await this.task.kill({ id, execId, signal, all: false });
  }

  /** Kills init where it runs, and deletes the container. */
  async remove(id: string): Promise<number> {
    await this.kill(id, 9).catch(() => {});
    await this.wait(id);
    return await this.delete(id);
  }

  /** Sends a signal to the shim itself. */
  signal(signal: Deno.Signal): void {
    if (!this.hasEnded) this.#child.kill(signal);
  }

  /** Numbers of open descriptors, by what they are of. */
  descriptors(): Map<string, number> {
    const found = new Map<string, number>();
    for (const { name } of Deno.readDirSync(`/proc/${this.pid}/fd`)) {
      const target = linkOf(`/proc/${this.pid}/fd/${name}`)?.replace(/\[\d+\]|\d+/, "");
      if (target !== undefined) found.set(target, (found.get(target) ?? 0) + 1);
    }
    return found;
  }

  /** Ends the shim, which must go by itself and leave nothing. */
  async end(): Promise<void> {
    this.signal("SIGTERM");
    assert.equal((await this.status).code, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#channel.close();
    this.signal("SIGKILL");
    await this.status;
    this.#receiver.close();
    await this.#receiver.closed;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    // Closed between two looks.
    return undefined;
  }
}

function specOf(scratch: Scratch, id: string, args: readonly string[]): FullSpec {
  return {
    ociVersion: "1.2.0",
    root: { path: `${scratch.path}/rootfs`, readonly: true },
    process: {
      args: [...args],
      cwd: "/",
      user: { uid: 0, gid: 0 },
      env: ["PATH=/bin"],
      terminal: false,
      noNewPrivileges: true,
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=64k"] },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"] },
    ],
    linux: {
      cgroupsPath: `/${scratch.name}/${id}`,
      namespaces: [{ type: "pid" }, { type: "ipc" }, { type: "mount" }, { type: "uts" }, { type: "network" }],
    },
  };
}

/** A test's body with a shim of its own, which must leave nothing on the host. */
export async function withBareShim(
  body: (shim: BareShim) => Promise<void>,
  options: BareShimOptions = {},
): Promise<void> {
  await using scratch = await makeScratch();
  {
    await using shim = await BareShim.start(scratch, options);
    await body(shim);
    await shim.end();
  }
  removeParents(scratch);
  await scratch.assertNothingLeft();
}

/** The directory of all cgroups of a test stays when its containers go, as with runc. */
function removeParents(scratch: Scratch): void {
  for (const path of scratch.cgroups().filter((each) => each.endsWith(`/${scratch.name}`))) Deno.removeSync(path);
}
