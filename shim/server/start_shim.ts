/**
 * The `start` action: a shim for one container.
 *
 * @module
 */
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { version } from "../../api/version.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { reservePlace } from "./find_shim.ts";
import { annotatedGroup, type ShimName } from "./shim_socket.ts";
import { type ServerCommand, spawnServer } from "./spawn_server.ts";

/** What containers share a shim: none, those that name a pod by their annotations, or those of a namespace. */
export type Grouping = "container" | "pod" | "namespace";

/** What a shim is started for. */
export interface StartOptions {
  readonly namespace: string;
  readonly id: string;
  /** The container's bundle. */
  readonly bundle: string;
  /** The daemon's gRPC address. */
  readonly address: string;
  readonly socketDirectory?: string | undefined;
  readonly grouping: Grouping;
  /** The text of all runtime options: containers with others are not in one shim. Empty outside of `namespace`. */
  readonly optionsKey: string;
}

/** A shim that was found or made. */
export interface StartedShim {
  /** `unix://PATH`. */
  readonly address: string;
  readonly pid: number;
  /** Whether the process was made just now. */
  readonly isNew: boolean;
}

/**
 * Finds or makes the shim. `command` gives the server's command line for the socket that it is to remove at its end.
 * The bundle gets `address` and `shim.pid`, where older daemons look.
 */
export async function startShim(
  reactor: Reactor,
  options: StartOptions,
  command: (socket: string) => ServerCommand,
  signal: AbortSignal,
): Promise<StartedShim> {
  const place = await reservePlace(reactor, shimName(options), options.id, signal);
  let pid: number;
  if (place.found === "running") {
    pid = place.pid;
  } else {
    try {
      pid = spawnServer(command(place.socket), place.listener.number);
    } catch (error) {
      Deno.removeSync(place.socket);
      throw error;
    } finally {
      place.listener.close();
    }
  }
  Deno.writeTextFileSync(`${options.bundle}/shim.pid`, String(pid));
  const address = `unix://${place.socket}`;
  Deno.writeTextFileSync(`${options.bundle}/address`, address);
  return { address, pid, isNew: place.found === "none" };
}

/** The name of the shim that the container belongs to. */
export function shimName(options: StartOptions): ShimName {
  const { address, namespace, id, bundle, grouping, optionsKey, socketDirectory } = options;
  const group = grouping === "namespace"
    // Older versions keep what they have, and get nothing new.
    ? `barge ${version} ${optionsKey}`
    : grouping === "pod"
    ? annotatedGroup(annotationsOf(bundle)) ?? id
    : id;
  return { address, namespace, group, socketDirectory };
}

function annotationsOf(bundle: string): Spec["annotations"] {
  try {
    const text = Deno.readTextFileSync(`${bundle}/config.json`);
    if (!text.includes("sandbox-id") && !text.includes("runc.v2.group")) return undefined;
    // Only looked at for two strings; the spec is validated when the container is created.
    return (JSON.parse(text) as Spec).annotations;
  } catch (error) {
    // A sandbox's shim is started before there is a spec.
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
