/**
 * The events of tasks that the daemon tells itself, for shims that are gone.
 *
 * @module
 */
import type { DeleteResponse } from "../../api/gen/runtime/task/v3/shim.ts";
import { TaskDelete, TaskExit } from "../../api/gen/events/task.ts";
import type { EventExchange } from "../events/exchange.ts";

/** Where shims tell exits. */
export const exitTopic = "/tasks/exit";

/** Tells that a container's first process has ended. */
export function tellExit(events: EventExchange, namespace: string, id: string, exit: DeleteResponse): void {
  const value = TaskExit.encode({ containerId: id, id, ...exit }).finish();
  events.publish(namespace, exitTopic, { typeUrl: "containerd.events.TaskExit", value });
}

/** Tells that a task is no more. */
export function tellDelete(events: EventExchange, namespace: string, id: string, exit: DeleteResponse): void {
  const value = TaskDelete.encode({ containerId: id, id: "", ...exit }).finish();
  events.publish(namespace, "/tasks/delete", { typeUrl: "containerd.events.TaskDelete", value });
}
