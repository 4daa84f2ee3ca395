/**
 * What a plan must know besides the spec. Gathered before planning, so that planning itself is pure and can be tested
 * and printed without root.
 *
 * @module
 */
import type { NamespaceType } from "../../../api/oci/runtime_spec.ts";
import type { Arch } from "../../../ffi/arch.ts";
import type { IdMaps } from "./id_maps.ts";
import type { CompiledFilter } from "../seccomp/compile.ts";

/** Where the root file system comes from. */
export type RootSource =
  & (
    /** A directory on the host, with whatever is mounted below it. */
    | { kind: "directory"; path: string }
    /**
     * An overlay that is mounted only inside the container's mount namespace. `lower` (nearest first), `upper` and `work`
     * are relative to `base`: the kernel takes at most a page of options. `mountpoint` is any directory of the host.
     */
    | {
      kind: "overlay";
      base: string;
      lower: readonly string[];
      upper?: string;
      work?: string;
      options: readonly string[];
      mountpoint: string;
    }
  )
  & {
    /** How its ids are mapped: those of the directory, or of the overlay's lower layers. */
    idMaps?: IdMaps;
  };

/** One cgroup of the container. */
export interface CgroupPlace {
  version: 1 | 2;
  /** Directory name below `/sys/fs/cgroup` inside the container: `cpu,cpuacct`, `systemd`; empty for pure v2. */
  name: string;
  /** The container's directory on the host. */
  path: string;
}

/** Mounts of the host, by their places. */
export interface HostMounts {
  /** What is mounted on the file system of the root itself. */
  onRoot: readonly string[];
  /** Every proc and sysfs. */
  kernels: readonly string[];
}

/** A resource limit of a process, as numbers. */
export interface Limit {
  soft: bigint;
  hard: bigint;
}

/** See the module. */
export interface Facts {
  arch: Arch;
  id: string;
  /** Absolute path of the bundle, which relative sources of bind mounts are counted from. */
  bundle: string;
  root: RootSource;
  /** The compiled form of the spec's seccomp profile, where it has one. */
  filter?: CompiledFilter;
  /** What the source of each bind mount is, by absolute path. */
  sources: ReadonlyMap<string, "directory" | "file">;
  /** Where destinations of mounts end up behind links of the root file system; those that have none are left out. */
  destinations: ReadonlyMap<string, string>;
  /** Modes of the directories that memory file systems cover, where their mounts name none, by their place in the root. */
  coveredModes: ReadonlyMap<string, number>;
  /**
   * What the kernel's own files are that the spec masks or makes read-only, by cleaned path: what a fresh proc or sysfs
   * shows is the same everywhere. Of paths that are left out nothing is known.
   */
  kernelFiles: ReadonlyMap<string, "directory" | "file" | "missing">;
  /** Whether device nodes can be made; the host's are bound otherwise. */
  canMakeNodes: boolean;
  cgroups: readonly CgroupPlace[];
  /** Directories of resctrl whose `tasks` the new process writes itself to, in this order. */
  resctrl?: readonly string[];
  /** Whether a service manager makes the cgroups, and moves the new process into those that it knows. */
  inUnit?: boolean;
  /** Signals that the runtime ignores. */
  ignoredSignals: readonly number[];
  /** The caller's own RLIMIT_NOFILE, which Deno has changed; the container's unless the spec sets it. */
  openFiles?: Limit;
  /** Number of the last capability that the kernel knows. */
  lastCapability: number;
  /** Contents of the container's /etc/passwd, for HOME; left out where the new process is to read it itself. */
  passwd?: string | undefined;
  /**
   * `at once`: the program goes on to the user's command. `fifo`: it reports and waits for one byte, given as
   * descriptor `start`.
   */
  start: "at once" | "fifo";
  /** Bind mounts with ids mapped, by `sourceKey`: each is given as descriptor `idmapN`, a detached mount. */
  idMapped?: readonly string[];
  /** The caller's descriptors that the process gets from 3 on, each given as `keptN`. */
  preserved?: { numbers: readonly number[]; listening: number };
  /** Directories of the root that are made where they are missing, and can be written also in a read-only root. */
  volumes?: readonly string[];
  /** Whether the process's terminal writes `\n` as it is, and not as `\r\n`. */
  plainLines?: boolean;
  /** Those of the standard streams that are the host's /dev/null. */
  nullStreams?: readonly number[];
  /** The types among the joined namespaces that belong to the joined user namespace. */
  ownedByJoined?: ReadonlySet<NamespaceType>;
  /** Whether the runtime is not root: a user namespace is all that gives the container rights. */
  isOrdinaryUser?: boolean;
  /** Whether the container gets a session keyring of its own. */
  newKeyring: boolean;
  /** What the host has mounted, where the root is changed without pivot_root(2). */
  noPivot?: HostMounts;
  /** Whether the container dies when the runtime does. Needs the descriptor `life`. */
  dieWithParent: boolean;
}
