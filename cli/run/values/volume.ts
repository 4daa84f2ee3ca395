/**
 * What `--volume`, `--mount` and `--tmpfs` ask for, as one kind of value.
 *
 * @module
 */

/** A directory or file of the host inside the container. */
export interface BindRequest {
  readonly type: "bind";
  /** As the user wrote it; relative to the caller's working directory. */
  readonly source: string;
  /** Absolute path in the container. */
  readonly target: string;
  readonly readonly: boolean;
  /** Such as `rprivate`. */
  readonly propagation: Propagation;
  /** Whether mounts below the source come along. */
  readonly recursive: boolean;
  /** Whether a missing source is made as a directory (`-v`, as docker does) or is an error (`--mount`). */
  readonly createSource: boolean;
  /** Whether files are to get a label of SELinux that containers may use; without SELinux there is nothing to do. */
  readonly relabel?: boolean;
}

/** A memory file system of the container's own. */
export interface TmpfsRequest {
  readonly type: "tmpfs";
  readonly target: string;
  /** Mount options, the defaults included. */
  readonly options: readonly string[];
}

/** One mount that the command line asks for. */
export type MountRequest = BindRequest | TmpfsRequest;

/** The propagation types of mount_namespaces(7) that a bind mount may have. */
export const propagations = ["private", "rprivate", "slave", "rslave", "shared", "rshared"] as const;

/** One of {@link propagations}. */
export type Propagation = typeof propagations[number];

/** Whether the text is one of {@link propagations}. */
export function isPropagation(text: string): text is Propagation {
  return (propagations as readonly string[]).includes(text);
}
