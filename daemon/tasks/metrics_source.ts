/**
 * Puts the numbers about all containers on the metrics page, as they are when somebody asks for it.
 *
 * @module
 */
import type { MetricRegistry, Sample } from "../server/metric_registry.ts";
import { containerSamples } from "./container_metrics.ts";
import type { TaskManager } from "./manager.ts";
import type { Task } from "./task.ts";

/** Shims that are asked at the same time. */
const atOnce = 32;

/** Name of a container's runtime, by its record; undefined where that is gone. */
export type RuntimeOf = (namespace: string, id: string) => Promise<string | undefined>;

/** Adds the numbers to the registry. A shim that does not answer has none this time. */
export function addContainerMetrics(
  registry: MetricRegistry,
  tasks: Pick<TaskManager, "list">,
  runtimeOf: RuntimeOf,
): void {
  const families = new Map<string, Sample[]>();
  // A container's runtime does not change while it has a task.
  const runtimes = new WeakMap<Task, string>();
  const runtimeName = async (task: Task) => {
    const name = runtimes.get(task) ?? await runtimeOf(task.namespace, task.id) ?? "";
    runtimes.set(task, name);
    return name;
  };
  registry.addSource(async (signal) => {
    for (const samples of families.values()) samples.length = 0;
    const waiting = tasks.list().filter((task) => !task.sick && !task.ending);
    const worker = async () => {
      for (let task = waiting.pop(); task !== undefined && !signal.aborted; task = waiting.pop()) {
        const { id, namespace } = task;
        let stats, runtime: string;
        try {
          runtime = await runtimeName(task);
          ({ stats } = await task.call("stats", { id }, signal));
        } catch {
          // A container that has ended has no numbers, and a page with those of the others is better than none.
          continue;
        }
        if (stats === undefined) continue;
        for (const { name, help, labels, value } of containerSamples(stats)) {
          let samples = families.get(name);
          if (samples === undefined) {
            const own: Sample[] = samples = [];
            families.set(name, own);
            registry.add({ name, help, type: "gauge", samples: () => own });
          }
          samples.push({ labels: { ...labels, container_id: id, namespace, runtime }, value });
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, waiting.length) }, worker));
  });
}
