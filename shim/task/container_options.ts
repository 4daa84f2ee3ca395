/**
 * What a container of the shim is made with.
 *
 * @module
 */
import type { Process } from "../../api/oci/runtime_spec.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { StdioFields } from "../io/stdio_plan.ts";
import type { EventQueue } from "../server/event_queue.ts";
import type { ShimLog } from "../server/shim_log.ts";
import type { Engine, RestoreSource } from "./engine.ts";
import type { Keeper } from "./keeper.ts";
import type { TaskProcess } from "./task_process.ts";

/** Who owns the pipes of a process. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What a container is made with. */
export interface ContainerOptions {
  readonly id: string;
  readonly namespace: string;
  readonly bundle: string;
  readonly stdio: StdioFields;
  readonly engine: Engine;
  /** The owner of the pipes of a process. */
  readonly ownerOf: (process: Process | undefined) => Owner;
  readonly process: Process | undefined;
  /** Where its root was mounted on the host. */
  readonly mounted: string | undefined;
  /** Whether processes of the container may outlive init. */
  readonly sharesPidNamespace: boolean;
  /** The checkpoint that its start restores; it begins anew without. */
  readonly restoredFrom?: RestoreSource | undefined;
}

/** What all containers of a shim share. */
export interface Surroundings {
  readonly reactor: Reactor;
  readonly events: EventQueue;
  readonly log: ShimLog;
  /** Set where a daemon wants to find a successor, should this shim die. */
  keeper?: Keeper;
}

/** A process besides init, with what it is started from. */
export interface Exec {
  readonly process: TaskProcess;
  readonly spec: Process;
}
