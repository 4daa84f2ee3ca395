/**
 * Bundles: the directory that a task has while it exists, in containerd's layout, so that stock shims find in it what
 * they look for and the next daemon finds them.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { readTextIfThere } from "../../ffi/if_there.ts";
import { isThere } from "../../ffi/is_there.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import { callOnThread } from "../../ffi/syscall.ts";
import { removeTree } from "../metadata/remove_tree.ts";
import { endpointJson, parseEndpoint, type ShimEndpoint } from "./bootstrap.ts";

/** Where bundles are. */
export interface BundlePlaces {
  /** Ends with the machine's uptime; holds the bundles. */
  readonly state: string;
  /** Outlives it; holds the tasks' work directories. */
  readonly root: string;
}

/** Told about something in one sentence. */
type Warn = (sentence: string) => void;

/** A mount on top of another one is undone as well, up to this many. */
const unmountsMax = 32;

/** One task's directory. The files are small, and the state directory is memory: they are written in place. */
export class Bundle {
  readonly path: string;
  readonly workPath: string;

  /** Names a bundle; nothing is made. */
  constructor(readonly places: BundlePlaces, readonly namespace: string, readonly id: string) {
    this.path = `${places.state}/${namespace}/${id}`;
    this.workPath = `${places.root}/${namespace}/${id}`;
  }

  /**
   * Makes the directories and writes the specification. `spec` is the text of `config.json`. Throws `AlreadyExists` where
   * there is such a bundle, and what the disk says; nothing is left then.
   */
  create(spec: Uint8Array): void {
    const { path, workPath } = this;
    Deno.mkdirSync(`${this.places.state}/${this.namespace}`, { recursive: true, mode: 0o711 });
    Deno.mkdirSync(`${this.places.root}/${this.namespace}`, { recursive: true, mode: 0o711 });
    try {
      Deno.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      throw new Failure("AlreadyExists", `mkdir ${path}: file exists`, { cause: error });
    }
    try {
      const gid = mappedRootGroup(spec);
      if (gid !== undefined) {
        Deno.chownSync(path, null, gid);
        Deno.chmodSync(path, 0o710);
      }
      Deno.mkdirSync(`${path}/rootfs`, { mode: 0o711 });
      // A work directory may be a killed daemon's; what is in it is the task's of then.
      removeTreeSync(workPath);
      Deno.mkdirSync(workPath, { mode: 0o711 });
      Deno.symlinkSync(workPath, `${path}/work`);
      Deno.writeFileSync(`${path}/config.json`, spec);
    } catch (error) {
      for (const directory of [path, workPath]) removeTreeSync(directory);
      throw error;
    }
  }

  /** Whether the directory is there. */
  exists(): boolean {
    return isThere(this.path);
  }

  /** Notes which program the shim is, for the next daemon. */
  writeShimPath(shim: string): void {
    Deno.writeTextFileSync(`${this.path}/shim-binary-path`, shim, { mode: 0o600 });
  }

  /** What {@link writeShimPath} noted; undefined where a daemon was killed before that. */
  shimPath(): string | undefined {
    return readTextIfThere(`${this.path}/shim-binary-path`);
  }

  /** Notes where the shim listens. */
  writeEndpoint(endpoint: ShimEndpoint): void {
    const file = `${this.path}/bootstrap.json`;
    Deno.writeTextFileSync(`${file}.new`, endpointJson(endpoint), { mode: 0o644 });
    Deno.renameSync(`${file}.new`, file);
  }

  /**
   * Where the shim listens, in the form of today's containerd or that of 1.x; undefined where nothing tells. Throws as
   * {@link parseEndpoint}.
   */
  endpoint(): ShimEndpoint | undefined {
    const text = readTextIfThere(`${this.path}/bootstrap.json`) ?? readTextIfThere(`${this.path}/address`);
    return text === undefined || text.trim() === "" ? undefined : parseEndpoint(new TextEncoder().encode(text));
  }

  /** The process that its shim was started as; undefined where nothing tells. */
  shimProcess(): number | undefined {
    const pid = Number(readTextIfThere(`${this.path}/shim.pid`) ?? NaN);
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  }

  /** Whether it was noted that the exit was told to whoever listened. */
  exitTold(): boolean {
    return isThere(`${this.path}/exit-told`);
  }

  /** Notes that; a bundle that is gone needs no note. */
  noteExitTold(): void {
    try {
      Deno.writeTextFileSync(`${this.path}/exit-told`, "", { mode: 0o600 });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /**
   * Removes everything. What is still mounted at the root file system is detached first; as long as something is mounted
   * there nothing is removed, so that no file of a snapshot or volume can be. Throws `FailedPrecondition` then, and what
   * the disk says. A bundle that is not there is success.
   */
  async delete(): Promise<void> {
    await removeMountPoint(`${this.path}/rootfs`);
    for (const directory of [this.path, this.workPath]) {
      const hidden = directory.replace(/([^/]+)$/, ".$1");
      try {
        Deno.renameSync(directory, hidden);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) continue;
        throw error;
      }
      await removeTree(hidden);
    }
  }
}

/**
 * Names of all bundles of a daemon before this one: namespaces with ids. Empty ones are removed, and those that were
 * hidden for their removal when that daemon died. What cannot be removed stays for the next one, and `warn` is told.
 */
export function bundlesIn({ state, root }: BundlePlaces, warn: Warn = () => {}): { namespace: string; id: string }[] {
  const found: { namespace: string; id: string }[] = [];
  for (const namespace of namesIn(root)) removeHidden(`${root}/${namespace}`, warn);
  for (const namespace of namesIn(state)) {
    const directory = `${state}/${namespace}`;
    removeHidden(directory, warn);
    for (const id of namesIn(directory)) {
      if (namesIn(`${directory}/${id}`).length > 0) found.push({ namespace, id });
      else orWarn(`${directory}/${id}`, warn);
    }
  }
  return found;
}

/** What could not be a mount point any more when it was hidden. */
function removeHidden(directory: string, warn: Warn): void {
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    if (name.startsWith(".") && isDirectory && !isThere(`${path}/rootfs`)) orWarn(path, warn);
  }
}

function orWarn(path: string, warn: Warn): void {
  try {
    removeTreeSync(path);
  } catch (error) {
    warn(`cannot remove "${path}": ${messageOf(error)}`);
  }
}

/** Removes work directories of tasks that do not exist. What cannot be removed stays, and `warn` is told. */
export async function removeOrphanedWork(
  { root }: BundlePlaces,
  exists: (namespace: string, id: string) => boolean,
  warn: Warn = () => {},
): Promise<void> {
  for (const namespace of namesIn(root)) {
    for (const id of namesIn(`${root}/${namespace}`)) {
      if (exists(namespace, id)) continue;
      const path = `${root}/${namespace}/${id}`;
      await removeTree(path).catch((error: unknown) => warn(`cannot remove "${path}": ${messageOf(error)}`));
    }
  }
}

function namesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].filter(({ name, isDirectory, isFile }) =>
      !name.startsWith(".") && (isDirectory || isFile)
    ).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function removeMountPoint(path: string): Promise<void> {
  for (let unmounts = 0;; unmounts++) {
    try {
      Deno.removeSync(path);
      return;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (unmounts === unmountsMax) {
        throw new Failure("FailedPrecondition", `failed to unmount "${path}": ${messageOf(error)}`, { cause: error });
      }
    }
    // On a thread, as the last user of a file system writes what is left of it.
    const failed = await callOnThread("umount2", path, flags("MNT_DETACH", "UMOUNT_NOFOLLOW")) !== 0;
    if (failed) unmounts = Math.max(unmounts, unmountsMax - 1);
  }
}

function mappedRootGroup(spec: Uint8Array): number | undefined {
  let parsed: { linux?: { gidMappings?: { containerID?: number; hostID?: number }[] } };
  try {
    parsed = JSON.parse(new TextDecoder().decode(spec));
  } catch {
    // Whether the specification is one is for the runtime to say.
    return undefined;
  }
  const mapping = parsed?.linux?.gidMappings?.find(({ containerID }) => (containerID ?? 0) === 0);
  return mapping === undefined ? undefined : mapping.hostID ?? 0;
}
