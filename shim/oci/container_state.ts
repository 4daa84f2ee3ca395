/**
 * What is on disk of a container: `<root>/<id>/state.json`, and `exec.fifo` between creation and start.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import type { CgroupRecord } from "./cgroup/cgroup.ts";
import type { UnitRecord } from "./cgroup/systemd/unit.ts";
import type { HostMount } from "./host_mount.ts";
import type { ResctrlRecord } from "./resctrl/group.ts";
import { parseJson, stringifyJson } from "./spec/json.ts";

/** Contents of `state.json`. */
export interface ContainerState {
  id: string;
  /** Process id of init on the host; 0 before there is one. */
  pid: number;
  /** Field 22 of `/proc/PID/stat`: clock ticks since boot when init began; tells it from a later process of this id. */
  pidStart: string;
  /** RFC 3339. */
  created: string;
  /** Absolute. */
  bundle: string;
  /** Absolute path of the root file system on the host; the mount point where it exists in the container only. */
  rootfs: string;
  /** Where the root is mounted on the host for as long as the container is there. */
  hostMount?: HostMount;
  cgroup: CgroupRecord;
  /** The systemd unit that the cgroups belong to, where they do. */
  unit?: UnitRecord;
  /** The groups of resctrl that its processes are in, where the spec asks for any. */
  resctrl?: ResctrlRecord;
  /** Whether processes of the container have the caller's session keyring. */
  noNewKeyring?: true;
  /** Names of its standard streams in `/proc/PID/fd` as it was given them: what a checkpoint knows pipes by. */
  streams?: string[];
  /** Path of the spec as it was at creation: later changes of the bundle's `config.json` have no effect. */
  specFile: string;
}

/** The directory of one container's state. */
export class StateDirectory {
  readonly path: string;

  /** Throws `InvalidArgument` where the id is none (it becomes a directory's name). */
  constructor(readonly root: string, readonly id: string) {
    if (!/^[A-Za-z0-9_+.-]+$/.test(id) || id === "." || id === "..") {
      throw new Failure("InvalidArgument", `invalid container ID format: ${JSON.stringify(id)}`);
    }
    this.path = `${root}/${id}`;
  }

  /** Path of the fifo that `start` writes one byte to. */
  get fifo(): string {
    return `${this.path}/exec.fifo`;
  }

  /** Makes the directory. Throws `AlreadyExists` where a container has this id. */
  create(): void {
    Deno.mkdirSync(this.root, { recursive: true, mode: 0o700 });
    try {
      Deno.mkdirSync(this.path, { mode: 0o711 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      throw new Failure("AlreadyExists", "container with given ID already exists", { cause: error });
    }
  }

  /** Keeps a copy of the spec; gives its path. */
  writeSpec(spec: Spec): string {
    const path = `${this.path}/config.json`;
    Deno.writeTextFileSync(path, stringifyJson(spec), { mode: 0o600 });
    return path;
  }

  /** Replaces `state.json` as a whole. */
  write(state: ContainerState): void {
    const temporary = `${this.path}/state-${Deno.pid}`;
    Deno.writeTextFileSync(temporary, JSON.stringify(state), { mode: 0o600 });
    Deno.renameSync(temporary, `${this.path}/state.json`);
  }

  /** Reads `state.json`. Throws `NotFound` where there is no such container. */
  read(): ContainerState {
    let text: string;
    try {
      text = Deno.readTextFileSync(`${this.path}/state.json`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new Failure("NotFound", "container does not exist", { cause: error });
    }
    try {
      // Written by this module alone.
      return JSON.parse(text) as ContainerState;
    } catch (error) {
      throw new Failure("DataLoss", `"${this.path}/state.json" is damaged; delete the container by force`, {
        cause: error,
      });
    }
  }

  /** Whether init waits for its start. */
  isCreated(): boolean {
    try {
      Deno.lstatSync(this.fifo);
      return true;
    } catch {
      return false;
    }
  }

  /** Removes the directory; nothing where it is gone already. */
  remove(): void {
    removeTreeSync(this.path);
  }
}

/** The spec that a container was created with. */
export function specOf(state: ContainerState): Spec {
  // Validated before it was written.
  return parseJson(Deno.readTextFileSync(state.specFile), state.specFile) as Spec;
}

/**
 * Ids of the containers below a state root, in alphabetical order; none where the root does not exist, or with `mustExist`
 * the error `NotFound`.
 */
export function listContainers(root: string, mustExist = false): string[] {
  try {
    return [...Deno.readDirSync(root)].filter((entry) => entry.isDirectory).map((entry) => entry.name).sort();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (!mustExist) return [];
    throw new Failure("NotFound", `cannot list containers: open ${root}: no such file or directory`, { cause: error });
  }
}
