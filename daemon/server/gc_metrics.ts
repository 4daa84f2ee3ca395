/**
 * Counts of garbage collections, under containerd's names.
 *
 * @module
 */
import type { CollectorOptions } from "../gc/collector.ts";
import { Histogram, type MetricRegistry, Value } from "./metric_registry.ts";

/** For the collector's `observe`; `onFailure` learns why a collection failed. */
export function gcMetrics(
  registry: MetricRegistry,
  onFailure: (error: unknown) => void,
): NonNullable<CollectorOptions["observe"]> {
  const succeeded = new Value({ status: "success" });
  const failed = new Value({ status: "fail" });
  const seconds = new Histogram();
  registry.addValues(
    "counter",
    "containerd_gc_collections_total",
    "Counter of gc collections, by status.",
    () => [failed, succeeded].filter(({ value }) => value > 0),
  );
  registry.add({
    name: "containerd_gc_gc_seconds",
    help: "Time spent doing gc, in seconds.",
    type: "histogram",
    samples: () => seconds.samples(),
  });
  return (outcome) => {
    seconds.observe(outcome.tookMs / 1000);
    if ("error" in outcome) {
      failed.add();
      onFailure(outcome.error);
    } else {
      succeeded.add();
    }
  };
}
