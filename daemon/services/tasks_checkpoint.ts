/**
 * Where checkpoints of containers come from and go to.
 *
 * @module
 */
import type { CheckpointTaskRequest, CreateTaskRequest } from "../../api/gen/services/tasks/v1/tasks.ts";
import { CheckpointOptions, Options } from "../../api/gen/types/runc/options/oci.ts";
import { Failure } from "../../api/errors.ts";
import { removeTree } from "../metadata/remove_tree.ts";

const optionsType = "containerd.runc.v1.Options";
const checkpointOptionsType = "containerd.runc.v1.CheckpointOptions";

const nameOf = (typeUrl: string) => typeUrl.slice(typeUrl.lastIndexOf("/") + 1);

/**
 * Directory that a new task is restored from; empty where none is named. Throws `Unknown` in containerd's words for
 * options of another runtime.
 */
export function restorePath(runtime: string, { options }: CreateTaskRequest): string {
  if (options === undefined || !runtime.startsWith("io.containerd.runc.")) return "";
  if (nameOf(options.typeUrl) !== optionsType) {
    throw new Failure("Unknown", `invalid task create option for ${runtime}`);
  }
  return Options.decode(options.value).criuImagePath;
}

/**
 * Directory that a checkpoint goes to; empty where none is named, and it is to become a blob. Throws `Unknown` in
 * containerd's words for options of another runtime.
 */
export function checkpointPath(runtime: string, { options }: CheckpointTaskRequest): string {
  if (options === undefined) return "";
  if (nameOf(options.typeUrl) !== checkpointOptionsType) {
    throw new Failure("Unknown", `invalid task checkpoint option for ${runtime}`);
  }
  return CheckpointOptions.decode(options.value).imagePath;
}

/** Directories of checkpoints that were unpacked for tasks: their starts read them. */
export class UnpackedCheckpoints {
  readonly #directories = new Map<string, string>();

  /** Makes one for a task. One that an earlier task of this name has left is removed. */
  async make(namespace: string, id: string): Promise<string> {
    await this.remove(namespace, id);
    const directory = await Deno.makeTempDir({ prefix: "ctrd-checkpoint" });
    this.#directories.set(`${namespace}/${id}`, directory);
    return directory;
  }

  /** Removes that of a task, if there is one. */
  async remove(namespace: string, id: string): Promise<void> {
    const key = `${namespace}/${id}`;
    const directory = this.#directories.get(key);
    if (directory === undefined) return;
    this.#directories.delete(key);
    await removeTree(directory);
  }

  /** Whether there are any: most calls need not ask further. */
  get isEmpty(): boolean {
    return this.#directories.size === 0;
  }
}
