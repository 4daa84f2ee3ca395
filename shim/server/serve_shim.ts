/**
 * The shim's server: the task service and its companions on one socket, until nobody needs it.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import { TaskDefinition } from "../../api/gen/runtime/task/v2/shim.ts";
import { SandboxDefinition } from "../../api/gen/runtime/sandbox/v1/sandbox.ts";
import { GroupDefinition } from "../../api/gen/shim/v1/group.ts";
import { ServiceTable } from "../../api/rpc/definition.ts";
import { serve, type TtrpcServer } from "../../api/ttrpc/server.ts";
import { removeIfThere } from "../../ffi/if_there.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { listenTo } from "../../ffi/signal.ts";
import type { StreamListener } from "../../ffi/stream_listener.ts";
import { StreamSocket } from "../../ffi/stream_socket.ts";
import { after } from "../../ffi/timer.ts";
import { Children } from "../task/children.ts";
import { Containers } from "../task/containers.ts";
import { TaskService } from "../task/task_service.ts";
import { EventQueue, type Publish, TtrpcPublisher } from "./event_queue.ts";
import { GroupService, type ShimHandover } from "./group_service.ts";
import { SandboxService } from "./sandbox_service.ts";
import { ShimLifetime } from "./shim_life.ts";
import { Rest } from "./rest.ts";
import { openShimLog, type ShimLog } from "./shim_log.ts";

/** What a shim's server is told at its start. */
export interface ServeOptions {
  readonly namespace: string;
  /** Directory of the container that it was started for: its log is there. */
  readonly bundle: string;
  /** Where it listens. */
  readonly listener: StreamListener;
  /** Path of that socket, which is removed at the end. */
  readonly socket: string;
  /** The daemon's socket where it leaves what its successors need from the first container on; empty where it is asked to later. */
  readonly deposit?: string | undefined;
  /** The daemon's ttrpc socket; empty without one. */
  readonly ttrpcAddress: string;
  /** Publishes events where there is no such socket. */
  readonly publish?: Publish | undefined;
  readonly placesMax: number;
  readonly lingers: boolean;
  readonly debugs: boolean;
  /** Path of the debug socket, which is removed at the end; empty without one. */
  readonly debugSocket: string;
}

/** How long calls and events may take to come to an end. */
const endMsMax = 5_000;

/** SIGUSR1, which Deno would open its debugger for. */
const dumpSignal = 10;
/** Deno begins to listen to it half a second after its start; until then nobody knows of the shim who would send it. */
const dumpAfterMs = 200;

/** Serves until the shim is to end: when it is idle, or at SIGTERM or SIGINT. Containers that run go on. */
export async function serveShim(reactor: Reactor, options: ServeOptions): Promise<void> {
  const log = openShimLog(`${options.bundle}/log`, options.debugs);
  const publisher = options.ttrpcAddress === ""
    ? undefined
    : new TtrpcPublisher(reactor, options.ttrpcAddress, options.namespace);
  const publish = publisher?.publish ?? options.publish ?? (() => Promise.resolve());
  const events = new EventQueue(reactor, { namespace: options.namespace, publish, warn: (text) => log.warn(text) });
  const life = new ShimLifetime(reactor, options);
  const children = new Children(reactor);
  using rest = new Rest(reactor);
  const observer = {
    coming: (id: string): void => {
      life.coming(id);
      rest.disturb();
    },
    gone: (id: string): void => life.gone(id),
  };
  const containers = new Containers({ reactor, events, log }, children, options.namespace, observer);
  const handover = handoverOf(containers);
  if (options.deposit) {
    // Before a container comes; without it they are taken over as far as their bundles tell.
    await handover.deposit(options.deposit).catch((error) =>
      log.warn(`nothing is left for others: ${messageOf(error)}`)
    );
  }
  const server = serve(options.listener, services(reactor, containers, life, handover), { peerOf, admits });
  const end = (): void => life.end();
  for (const name of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(name, end);
  keepDebuggerShut(reactor, containers, life, log);
  // One container's accident is not the others'.
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.error(`unexpected: ${event.reason instanceof Error ? event.reason.stack : messageOf(event.reason)}`);
  });
  // Whoever has the shim's socket has this one: what lies there is a dead shim's.
  removeSocket(options.debugSocket);
  const debug = options.debugSocket === ""
    ? undefined
    : (await import("./debug_socket.ts")).serveDebug(reactor, options.debugSocket, { containers, life, server });
  await life.over;
  removeSocket(options.socket);
  debug?.close();
  removeSocket(options.debugSocket);
  // A successor takes over what still runs, and is asked again what is not answered here: the sooner the better.
  const isSucceeded = containers.count > 0 && containers.around.keeper !== undefined;
  await stop(reactor, isSucceeded ? undefined : server, events);
  server.close();
  publisher?.close();
  children[Symbol.dispose]();
}

/** Both versions of the task service have the same messages and methods. */
function services(
  reactor: Reactor,
  containers: Containers,
  life: ShimLifetime,
  handover: ShimHandover,
): ServiceTable {
  const tasks = new TaskService(containers, life);
  return new ServiceTable()
    .add(TaskDefinition, tasks)
    .add({ ...TaskDefinition, fullName: "containerd.task.v3.Task" }, tasks)
    .add(SandboxDefinition, new SandboxService(reactor, containers, life))
    .add(GroupDefinition, new GroupService(life, handover));
}

/** Loaded when it is asked for: under another daemon than barge's nobody does. */
function handoverOf(containers: Containers): ShimHandover {
  const load = () => import("../task/handover.ts");
  return {
    deposit: async (socket) => (await load()).depositAt(containers, socket),
    adopt: async (request) => await (await load()).adopt(containers, request),
  };
}

function peerOf(connection: unknown): { address: string; credentials?: { pid: number; uid: number; gid: number } } {
  return connection instanceof StreamSocket
    ? { address: "unix", credentials: connection.credentials() }
    : { address: "unix" };
}

/** As containerd's shims: peers of the same user and group only. */
function admits({ credentials }: { credentials?: { uid: number; gid: number } }): boolean {
  return credentials?.uid === Deno.uid() && credentials?.gid === Deno.gid();
}

function keepDebuggerShut(reactor: Reactor, containers: Containers, life: ShimLifetime, log: ShimLog): void {
  after(reactor, dumpAfterMs, () => {
    listenTo(reactor, "SIGUSR1", dumpSignal, () => {
      log.info(
        `${containers.count} containers, ${life.reserved} reserved; memory ${JSON.stringify(Deno.memoryUsage())}`,
      );
    });
  });
}

/** Waits for events, and with a server for its calls as well. */
async function stop(reactor: Reactor, server: TtrpcServer | undefined, events: EventQueue): Promise<void> {
  const late = new AbortController();
  const timer = after(reactor, endMsMax, () => late.abort());
  const given = new Promise<void>((resolve) => late.signal.addEventListener("abort", () => resolve()));
  await Promise.race([Promise.all([server?.drain(late.signal), events.close()]), given]);
  timer.close();
}

function removeSocket(path: string): void {
  if (path !== "") removeIfThere(path);
}
