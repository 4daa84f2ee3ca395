/**
 * Which daemon it is, as a metric.
 *
 * @module
 */
import { containerdVersion, revision } from "../../api/version.ts";
import { type MetricRegistry, Value } from "./metric_registry.ts";

/** Adds `containerd_build_info_total`, which is always 1. */
export function addBuildInfo(registry: MetricRegistry): void {
  const info = new Value({ revision, version: containerdVersion });
  info.add();
  registry.addValues("counter", "containerd_build_info_total", "containerd build information", () => [info]);
}
