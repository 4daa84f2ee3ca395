/**
 * How a container is to be checkpointed, and restored.
 *
 * @module
 */
import type { cgroupModes } from "./messages.ts";

/** What both take; the names are those of runc's flags. */
export interface CriuOptions {
  /** criu itself, by its path or looked up in PATH. */
  readonly program: string;
  /** Absolute path of the directory of the images. */
  readonly imagePath: string;
  /** Absolute path of the directory of logs and statistics; that of the images without. */
  readonly workPath?: string | undefined;
  readonly tcpEstablished: boolean;
  readonly extUnixSk: boolean;
  readonly shellJob: boolean;
  readonly fileLocks: boolean;
  readonly autoDedup: boolean;
  readonly lazyPages: boolean;
  readonly manageCgroupsMode: keyof typeof cgroupModes;
  /** Sum of the `CLONE_NEW…` flags of namespaces that are made anew, without their properties. */
  readonly emptyNamespaces: number;
}

/** What a checkpoint takes. */
export interface CheckpointOptions extends CriuOptions {
  /** Images of an earlier checkpoint, relative to those of this one: what has not changed since is left out. */
  readonly parentPath?: string | undefined;
  readonly leaveRunning: boolean;
  /** Only the memory is saved, and the container goes on. */
  readonly preDump: boolean;
  readonly pageServer?: { readonly address: string; readonly port: number } | undefined;
  /** A descriptor that a zero byte is written to when pages can be fetched. */
  readonly statusFd?: number | undefined;
}

/** What a restoration takes. */
export interface RestoreFlags extends CriuOptions {
  /** `TYPE:NAME` */
  readonly lsmProfile?: string | undefined;
  readonly lsmMountContext?: string | undefined;
}
