/**
 * Uses of what will go, which the daemon has met since its start: for its log, and for clients that ask introspection.
 *
 * @module
 */
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import type { Logger } from "../log/logger.ts";

/** What clients know all ids of deprecations by. */
const prefix = "io.containerd.deprecation/";

/** Name → what to do instead. The names are containerd's, for clients tell them apart by these. */
const messages = {
  "cgroup-v1":
    "cgroup v1 is deprecated since containerd v2.2, and support for it will end in 2029: use a host with cgroup v2",
  "cri-registry-mirrors":
    "`mirrors` of the CRI's registry settings is deprecated since containerd v1.5: use `config_path` instead",
  "cri-registry-auths":
    "`auths` of the CRI's registry settings is deprecated since containerd v1.3: use `ImagePullSecrets` instead",
  "cri-registry-configs":
    "`configs` of the CRI's registry settings is deprecated since containerd v1.5: use `config_path` instead",
  "cri-cni-bin-dir": "`bin_dir` of the CRI's cni settings is deprecated since containerd v2.1: use `bin_dirs` instead",
  "enable-cdi": "`enable_cdi` of the CRI's settings is deprecated since containerd v2.2: CDI is always there",
  "tracing-processor-config":
    "the settings of `io.containerd.tracing.processor.v1.otlp` are deprecated since containerd v1.6: " +
    "use the environment's OTEL_EXPORTER_OTLP_* instead",
  "tracing-service-config":
    "the settings of `io.containerd.internal.v1.tracing` are deprecated since containerd v1.6: use the environment's OTEL_* instead",
} as const;

/** Something that will go. */
export type DeprecationName = keyof typeof messages;

/** A use of it, as introspection tells it; the time is in milliseconds since 1970. */
export interface MetDeprecation {
  readonly id: string;
  readonly message: string;
  readonly lastOccurrence: number;
}

/** Collects them. */
export class Deprecations {
  readonly #met = new Map<DeprecationName, number>();

  constructor(private readonly log: Pick<Logger, "warn">) {}

  /** Notes a use; the first one of each is logged. */
  emit(name: DeprecationName): void {
    if (!this.#met.has(name)) this.log.warn(`DEPRECATION: ${messages[name]}`, { warning: prefix + name });
    this.#met.set(name, wallTimeMs());
  }

  /** What was met until now. */
  list(): MetDeprecation[] {
    return [...this.#met].map(([name, lastOccurrence]) => ({
      id: prefix + name,
      message: messages[name],
      lastOccurrence,
    }));
  }
}
