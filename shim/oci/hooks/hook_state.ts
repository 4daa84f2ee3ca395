/**
 * What hooks read on standard input.
 *
 * @module
 */
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import { specVersion } from "../spec/version.ts";

/** The six places of a container's life in which hooks run, in the order of time. */
export const hookPlaces = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;

/** One of {@link hookPlaces}. */
export type HookPlace = typeof hookPlaces[number];

/** The container as hooks are told of it. */
export interface HookSubject {
  id: string;
  /** Process id of init as the hook sees it; 0 once it has ended. */
  pid: number;
  bundle: string;
  annotations?: Spec["annotations"];
}

/** The status that hooks of each place are told. */
const statuses: Readonly<Record<HookPlace, string>> = {
  prestart: "creating",
  createRuntime: "creating",
  createContainer: "creating",
  startContainer: "created",
  poststart: "running",
  poststop: "stopped",
};

/** The state as one line of JSON (runtime-spec `runtime.md`, "State"). */
export function hookState(place: HookPlace, { id, pid, bundle, annotations }: HookSubject): string {
  return JSON.stringify({
    ociVersion: specVersion,
    id,
    status: statuses[place],
    ...(pid === 0 ? {} : { pid }),
    bundle,
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
  });
}

/** Whether the spec has hooks in one of these places. */
export function hasHooks({ hooks }: Pick<Spec, "hooks">, ...places: HookPlace[]): boolean {
  return hooks !== undefined && places.some((place) => (hooks[place]?.length ?? 0) > 0);
}

/**
 * Whether the root file system must be mounted on the host: hooks that run in the host's namespaces look for it there.
 * Without such hooks it may exist in the container's mount namespace alone.
 */
export function needsHostRootfs(spec: Pick<Spec, "hooks">): boolean {
  return hasHooks(spec, "prestart", "createRuntime", "poststart", "poststop");
}
