/**
 * Saves a container that runs, for a client.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import type { CheckpointOptions } from "../../api/gen/types/runc/options/oci.ts";
import { copyIfThere } from "../../ffi/if_there.ts";
import { removeTreeSync } from "../../ffi/remove_tree.ts";
import { checkpointArguments } from "./checkpoint_arguments.ts";
import type { Container } from "./container.ts";

/**
 * Saves it into the directory. Throws with the first line of what the runtime says, and where criu's log is then, as
 * containerd's shim does.
 */
export async function checkpointTask(container: Container, path: string, options: CheckpointOptions): Promise<void> {
  const { bundle, engine } = container.options;
  const { status } = container.init;
  if (status === "created") throw new Failure("Unknown", "cannot checkpoint a task in created state");
  if (status === "stopped") throw new Failure("Unknown", "cannot checkpoint a stopped container");
  const own = `${bundle}/criu-work`;
  const work = options.workPath === "" ? own : options.workPath;
  try {
    await engine.checkpoint(checkpointArguments(path, work, options));
  } catch (error) {
    const log = `${bundle}/criu-dump.log`;
    const text = messageOf(error).split(/\n|\\n/, 1)[0]!;
    const where = copyIfThere(`${work}/dump.log`, log) ? ` path= ${log}` : "";
    throw new Failure("Unknown", text + where, { cause: error });
  } finally {
    if (work === own) removeTreeSync(own);
  }
}
