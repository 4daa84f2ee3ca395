/**
 * Starts a created container: writes the byte that its init waits for.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { flags } from "../../ffi/constants.ts";
import { openFile, writeOnce } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import type { StateDirectory } from "./container_state.ts";
import { statusOf } from "./status.ts";

/** Starts the container. Throws `FailedPrecondition` where it is not in the state `created`. */
export function startContainer(directory: StateDirectory): void {
  const status = statusOf(directory, directory.read());
  if (status !== "created") {
    const texts = {
      stopped: "cannot start a container that has stopped",
      running: "cannot start an already running container",
      paused: "cannot start a paused container: resume it first",
    };
    throw new Failure("FailedPrecondition", texts[status]);
  }
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
