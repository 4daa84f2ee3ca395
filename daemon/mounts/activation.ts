/**
 * Activations: mounts that the daemon performs for a client, under a name.
 *
 * @module
 */
import type { MountPart } from "./perform.ts";

/** A mount that has been performed. */
export interface ActiveMount {
  /** What was mounted, with all templates filled in. */
  readonly mount: MountPart;
  /** Where it is. */
  readonly mountPoint: string;
  /** When, in milliseconds since 1970. */
  readonly mountedAt: number;
}

/** Mounts under a name. Its files are named for the id, and its mount points lie in `t/ID/`. */
export interface Activation {
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  /** What the daemon has mounted, in order. */
  readonly active: readonly ActiveMount[];
  /** What is left to the client. */
  readonly system: readonly MountPart[];
  readonly labels: Readonly<Record<string, string>>;
  /** The lease that keeps it. */
  readonly lease?: string;
  /** Where each mount is, or will be: told before anything is mounted, so that all can be undone after a crash. */
  readonly mountPoints: readonly string[];
  /** Types of {@link mountPoints} that a handler mounts and unmounts; "" for all others. */
  readonly handled: readonly string[];
  /** Whether all mounts were performed; an activation that is not complete is undone when it is met. */
  readonly complete: boolean;
}

/**
 * Performs mounts of one type that mount(2) does not know. `mount` makes the mount point itself, as a file, directory or
 * link, and `unmount` undoes everything, also what a crash left half-done; nothing there is success.
 */
export interface MountHandler {
  /** Performs the mount at the path, which does not exist yet. `active` are the mounts before it. */
  mount(mount: MountPart, target: string, active: readonly ActiveMount[], signal: AbortSignal): Promise<ActiveMount>;
  /** Undoes it. */
  unmount(target: string, signal: AbortSignal): Promise<void>;
}
