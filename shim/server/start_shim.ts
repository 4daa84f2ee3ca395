/**
 * The `start` action: a shim for one container.
 *
 * @module
 */
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { buildVersion } from "../../api/version.ts";
import type { Reactor } from "../../ffi/reactor.ts";
import { type NewShim, reservePlace } from "./find_shim.ts";
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
 * Finds or makes the shim. `serve` gets the socket of a new one, takes its listener over, and gives the server's process
 * id; {@link inProcessOf} makes one of a command. The bundle gets `address` and `shim.pid`, where older daemons look.
 */
export async function startShim(
  reactor: Reactor,
  options: StartOptions,
  serve: (place: NewShim) => number | Promise<number>,
  signal: AbortSignal,
): Promise<StartedShim> {
  const place = await reservePlace(reactor, shimName(options), options.id, signal);
  const isNew = place.found === "none";
  const address = `unix://${place.socket}`;
  try {
    // What can fail comes before there is a process.
    Deno.writeTextFileSync(`${options.bundle}/address`, address);
    const pid = isNew ? await serve(place) : place.pid;
    Deno.writeTextFileSync(`${options.bundle}/shim.pid`, String(pid));
    return { address, pid, isNew };
  } catch (error) {
    if (isNew) Deno.removeSync(place.socket);
    throw error;
  }
}

/** Serves in a process of its own, which the command starts; for {@link startShim}. */
export function inProcessOf(command: (socket: string) => ServerCommand): (place: NewShim) => number {
  return ({ socket, listener }) => {
    try {
      return spawnServer(command(socket), listener.number);
    } finally {
      listener.close();
    }
  };
}

/** The name of the shim that the container belongs to. */
export function shimName(options: StartOptions): ShimName {
  const { address, namespace, id, bundle, grouping, optionsKey, socketDirectory } = options;
  const group = grouping === "namespace"
    // Other builds keep what they have, and get nothing new.
    ? `barge ${buildVersion()} ${optionsKey}`
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
