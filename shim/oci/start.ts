/**
 * Starts a created container: writes the byte that its init waits for.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { openFile, writeOnce } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import { specOf, type StateDirectory } from "./container_state.ts";
import { hasHooks } from "./hooks/hook_state.ts";
import { killContainer } from "./kill.ts";
import type { Limit } from "./plan/facts.ts";
import { isAlive, type Status, statusOf } from "./status.ts";

/**
 * Starts the container, with the hooks that belong to it. Throws `FailedPrecondition` where it is not in the state
 * `created`; where a hook fails, init is killed and the container is stopped. `openFiles` is the caller's own limit.
 */
export async function startContainer(directory: StateDirectory, openFiles?: Limit): Promise<void> {
  const state = directory.read();
  refuseUnlessCreated(statusOf(directory, state));
  const spec = specOf(state);
  if (!hasHooks(spec, "startContainer", "poststart")) {
    writeStart(directory);
    return;
  }
  const { runRuntimeHooks, runStartContainerHooks } = await import("./hooks/run_hooks.ts");
  const container = { spec, state };
  try {
    if (hasHooks(spec, "startContainer")) await runStartContainerHooks(container, openFiles);
    writeStart(directory);
    await runRuntimeHooks("poststart", container);
  } catch (error) {
    // A container whose hooks failed must not go on as if they had not (runtime-spec, lifecycle steps 8 and 10).
    if (isAlive(state)) killContainer(directory, flags("SIGKILL"));
    throw error;
  }
}

function refuseUnlessCreated(status: Status): void {
  if (status !== "created") {
    const texts = {
      stopped: "cannot start a container that has stopped",
      running: "cannot start an already running container",
      paused: "cannot start a paused container: resume it first",
    };
    throw new Failure("FailedPrecondition", texts[status]);
  }
}

/** Writes the byte that init waits for. */
function writeStart(directory: StateDirectory): void {
  try {
    using fifo = openFile(directory.fifo, flags("O_WRONLY", "O_NONBLOCK"));
    writeOnce(fifo.number, new Uint8Array([0x30]));
  } catch (error) {
    // ENXIO: nobody reads; init ended between the look and the byte.
    if (!isErrno(error, "ENXIO", "ENOENT")) throw error;
    throw new Failure("FailedPrecondition", "cannot start a container that has stopped", { cause: error });
  }
  Deno.removeSync(directory.fifo);
}
