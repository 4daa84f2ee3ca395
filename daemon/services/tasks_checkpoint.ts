/**
 * Where checkpoints of containers come from and go to.
 *
 * @module
 */
import type { CheckpointTaskRequest, CreateTaskRequest } from "../../api/gen/services/tasks/v1/tasks.ts";
import { CheckpointOptions, Options } from "../../api/gen/types/runc/options/oci.ts";
import { Failure } from "../../api/errors.ts";

const optionsType = "containerd.runc.v1.Options";
const checkpointOptionsType = "containerd.runc.v1.CheckpointOptions";

const nameOf = (typeUrl: string) => typeUrl.slice(typeUrl.lastIndexOf("/") + 1);

/**
 * Directory that a new task is restored from; empty where it begins anew. Throws `Unknown` in containerd's words for
 * options of another runtime, and `NotImplemented` for a checkpoint that is a blob.
 */
export function restorePath(runtime: string, { options, checkpoint }: CreateTaskRequest): string {
  let path = "";
  if (options !== undefined && runtime.startsWith("io.containerd.runc.")) {
    if (nameOf(options.typeUrl) !== optionsType) {
      throw new Failure("Unknown", `invalid task create option for ${runtime}`);
    }
    path = Options.decode(options.value).criuImagePath;
  }
  if (path === "" && checkpoint !== undefined) {
    throw new Failure(
      "NotImplemented",
      `restore from checkpoint ${checkpoint.digest}: checkpoints that are blobs are not supported, name a directory ` +
        `by the option criu_image_path`,
    );
  }
  return path;
}

/**
 * Directory that a checkpoint goes to. Throws `Unknown` in containerd's words for options of another runtime, and
 * `NotImplemented` where none is named: the checkpoint was to become a blob.
 */
export function checkpointPath(runtime: string, { options }: CheckpointTaskRequest): string {
  let path = "";
  if (options !== undefined) {
    if (nameOf(options.typeUrl) !== checkpointOptionsType) {
      throw new Failure("Unknown", `invalid task checkpoint option for ${runtime}`);
    }
    path = CheckpointOptions.decode(options.value).imagePath;
  }
  if (path !== "") return path;
  throw new Failure(
    "NotImplemented",
    "checkpoint: checkpoints that become blobs are not supported, name a directory by the option image_path",
  );
}
