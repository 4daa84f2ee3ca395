/**
 * The types that plugins have; a plugin's URI is its type and its id.
 *
 * @module
 */

/**
 * A type of plugins, by its name. `T` is what an instance of it is; nothing at run time stands for it, so that a name
 * gives typed access to what was constructed elsewhere.
 */
export interface PluginType<T> {
  readonly name: string;
  /** Never there: it carries `T`. */
  readonly instance?: T;
}

/** The type of that name, such as `io.containerd.content.v1`. */
export function pluginType<T>(name: string): PluginType<T> {
  return { name };
}

/** Names of all types that containerd has, without `io.containerd.`. */
export const typeNames = [
  "internal.v1",
  "runtime.v2",
  "service.v1",
  "grpc.v1",
  "ttrpc.v1",
  "snapshotter.v1",
  "monitor.task.v1",
  "monitor.container.v1",
  "differ.v1",
  "metadata.v1",
  "content.v1",
  "gc.v1",
  "event.v1",
  "lease.v1",
  "streaming.v1",
  "tracing.processor.v1",
  "nri.v1",
  "transfer.v1",
  "sandbox.store.v1",
  "podsandbox.controller.v1",
  "sandbox.controller.v1",
  "image-verifier.v1",
  "warning.v1",
  "cri.v1",
  "shim.v1",
  "http.v1",
  "mount-manager.v1",
  "mount-handler.v1",
  "server.v1",
  "metrics.v1",
] as const;

/** The full name of a type; the compiler knows which there are. */
export function typeName(short: typeof typeNames[number]): string {
  return `io.containerd.${short}`;
}
