/**
 * What the manager of tasks needs, and what a task is made from.
 *
 * @module
 */
import type { Any } from "../../api/gen/google/protobuf/any.ts";
import type { CreateTaskRequest } from "../../api/gen/runtime/task/v3/shim.ts";
import type { Mount } from "../../api/gen/types/mount.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import type { EventExchange } from "../events/exchange.ts";
import type { Logger } from "../log/logger.ts";
import type { MountManager } from "../mounts/mount_manager.ts";
import type { BundlePlaces } from "./bundle.ts";
import type { ConfiguredDeadlines } from "./deadlines.ts";
import type { ShimLauncher } from "./launcher.ts";

/** What a manager needs. */
export interface TaskManagerParts {
  readonly places: BundlePlaces;
  readonly launcher: ShimLauncher;
  readonly events: EventExchange;
  readonly mounts: MountManager;
  readonly reactor: Reactor;
  readonly log: Logger;
  readonly deadlines: ConfiguredDeadlines;
  /** Whether another one of barge's own shims takes over the containers of one that died, or they are killed. */
  readonly deadShim: "adopt" | "cleanup";
}

/** A task that is to be made. */
export interface NewTask {
  readonly namespace: string;
  readonly id: string;
  /** Name of the runtime, or path of its shim. */
  readonly runtime: string;
  /** The container's, of the runtime. */
  readonly runtimeOptions: Any | undefined;
  /** Text of `config.json`. */
  readonly spec: Uint8Array;
  /** What the shim is told besides. */
  readonly request: Omit<CreateTaskRequest, "id" | "bundle" | "rootfs">;
  readonly rootfs: readonly Mount[];
}
