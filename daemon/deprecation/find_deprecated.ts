/**
 * Finds what will go in a configuration, and in how the host is set up.
 *
 * @module
 */
import { isThere } from "../../ffi/is_there.ts";
import { isZero, itemAt, type Table } from "../config/tree.ts";
import type { DeprecationName } from "./deprecations.ts";

/** Settings that are deprecated where they say anything: the plugin's section, and the key in it. */
const settings: readonly (readonly [DeprecationName, section: string, ...path: string[]])[] = [
  ["cri-registry-mirrors", "io.containerd.cri.v1.images", "registry", "mirrors"],
  ["cri-registry-auths", "io.containerd.cri.v1.images", "registry", "auths"],
  ["cri-registry-configs", "io.containerd.cri.v1.images", "registry", "configs"],
  ["cri-cni-bin-dir", "io.containerd.cri.v1.runtime", "cni", "bin_dir"],
  ["tracing-processor-config", "io.containerd.tracing.processor.v1.otlp", "endpoint"],
  ["tracing-processor-config", "io.containerd.tracing.processor.v1.otlp", "protocol"],
  ["tracing-processor-config", "io.containerd.tracing.processor.v1.otlp", "insecure"],
  ["tracing-service-config", "io.containerd.internal.v1.tracing", "service_name"],
  ["tracing-service-config", "io.containerd.internal.v1.tracing", "sampling_ratio"],
];

/** What is deprecated in the sections of plugins, each name once. */
export function deprecatedSettings(plugins: ReadonlyMap<string, Table>): DeprecationName[] {
  const found = settings.filter(([, section, ...path]) => {
    const table = plugins.get(section);
    const item = table === undefined ? undefined : itemAt(table, ...path);
    return item !== undefined && !isZero(item);
  }).map(([name]) => name);
  // This one says something where it is false.
  const cri = plugins.get("io.containerd.cri.v1.runtime");
  const cdi = cri === undefined ? undefined : itemAt(cri, "enable_cdi");
  if (cdi?.kind === "bool" && !cdi.value) found.push("enable-cdi");
  return [...new Set(found)];
}

/** Whether the host's cgroups are of version 1, or of both. */
export function hasOldCgroups(directory = "/sys/fs/cgroup"): boolean {
  return isThere(directory) && !isThere(`${directory}/cgroup.controllers`);
}
