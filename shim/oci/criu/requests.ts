/**
 * What criu is asked for: pure functions from flags and facts.
 *
 * @module
 */
import type { Spec } from "../../../api/oci/runtime_spec.ts";
import type { CheckpointOptions, CriuOptions, RestoreFlags } from "./criu_options.ts";
import type { ExternalMount } from "./external_mounts.ts";
import { cgroupModes, type Request, type RequestOptions, requestTypes } from "./messages.ts";

/** Descriptors of this process that criu opens by `/proc`. */
export interface Directories {
  readonly images: number;
  readonly work: number | undefined;
}

/** What a request needs besides its flags. */
export interface RequestFacts {
  readonly directories: Directories;
  readonly annotations: Spec["annotations"];
  /** Path of the root on the host. */
  readonly root: string;
}

/** What a dump needs besides. */
export interface DumpFacts extends RequestFacts {
  readonly pid: number;
  /** Directory of the cgroup that the container is frozen by. */
  readonly freezer: string | undefined;
  readonly mounts: readonly ExternalMount[];
  /** Namespaces that are not the container's own, by criu's names. */
  readonly external: readonly string[];
  /** Whether criu itself is to tell the descriptor when pages can be fetched. */
  readonly statusByCriu: boolean;
}

/** What a restoration needs besides. */
export interface RestoreFacts extends RequestFacts {
  readonly mounts: readonly ExternalMount[];
  readonly cgroupRoots: readonly { readonly controller: string; readonly path: string }[];
  readonly inherited: readonly { readonly key: string; readonly fd: number }[];
  readonly joined: readonly { readonly type: string; readonly path: string }[];
}

/** Name of the log of a dump, and of a restoration. */
export const logNames = { dump: "dump.log", restore: "restore.log" } as const;

/** Debugging lines: an error is seldom understood without what came before it. */
const logLevel = 4;

/** Where criu looks for further options, unless an annotation says otherwise. */
const defaultConfiguration = "/etc/criu/runc.conf";

function common(options: CriuOptions, { directories, annotations, root }: RequestFacts): RequestOptions {
  const { shellJob, extUnixSk, tcpEstablished, fileLocks, autoDedup, lazyPages, emptyNamespaces } = options;
  // An empty annotation stands for none at all (containers that the user's settings are not meant for).
  const configFile = annotations?.["org.criu.config"] ?? defaultConfiguration;
  return {
    imagesDirectory: directories.images,
    ...(directories.work === undefined ? {} : { workDirectory: directories.work }),
    root,
    logLevel,
    manageCgroups: true,
    manageCgroupsMode: cgroupModes[options.manageCgroupsMode],
    notifies: true,
    orphanTerminal: true,
    ...(configFile === "" ? {} : { configFile }),
    ...{ shellJob, extUnixSk, tcpEstablished, fileLocks, autoDedup, lazyPages, emptyNamespaces },
  };
}

/** The request of a dump, or of a dump of the memory alone. */
export function dumpRequest(options: CheckpointOptions, facts: DumpFacts): Request {
  const { parentPath, preDump, pageServer, statusFd } = options;
  return {
    type: preDump ? requestTypes.preDump : requestTypes.dump,
    options: {
      ...common(options, facts),
      logFile: logNames.dump,
      pid: facts.pid,
      leaveRunning: options.leaveRunning,
      external: facts.external,
      ...(facts.freezer === undefined ? {} : { freezeCgroup: facts.freezer }),
      ...(pageServer === undefined ? {} : { pageServer }),
      ...(parentPath === undefined ? {} : { parentImage: parentPath, trackMemory: true }),
      ...(statusFd === undefined || !facts.statusByCriu ? {} : { statusFd }),
      // Of the memory alone nothing else is saved.
      ...(preDump ? {} : { externalMounts: facts.mounts }),
    },
  };
}

/** The request of a restoration. */
export function restoreRequest(options: RestoreFlags, facts: RestoreFacts): Request {
  const { lsmProfile, lsmMountContext } = options;
  return {
    type: requestTypes.restore,
    options: {
      ...common(options, facts),
      logFile: logNames.restore,
      evasiveDevices: true,
      restoreSibling: true,
      externalMounts: facts.mounts,
      cgroupRoots: facts.cgroupRoots,
      inherited: facts.inherited,
      joined: facts.joined,
      ...(lsmProfile === undefined ? {} : { lsmProfile }),
      ...(lsmMountContext === undefined ? {} : { lsmMountContext }),
    },
  };
}
