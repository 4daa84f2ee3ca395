/**
 * The `delete` action: what is left of a container whose shim has gone.
 *
 * containerd calls it after each connection to a shim that ends, the orderly ones included: most often nothing is left.
 *
 * @module
 */
import { Failure, messageOf } from "../../api/errors.ts";
import { DeleteResponse } from "../../api/gen/runtime/task/v2/shim.ts";
import { wireTime } from "../../api/timestamp.ts";
import { deletedFile } from "../../ffi/launch.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { wallTimeMs } from "../../ffi/wall_clock.ts";
import { StateDirectory } from "../../shim/oci/container_state.ts";
import { deleteContainer } from "../../shim/oci/delete.ts";
import { removeDeadSocket } from "../../shim/server/find_shim.ts";
import { recordedExit } from "../../shim/task/exits.ts";
import { unmountAll } from "../../shim/task/root_mounts.ts";
import { readOptions, stateRootOf } from "../../shim/task/runtime_options.ts";
import type { FlagValues } from "../flags.ts";
import type { shimFlags } from "./flags.ts";

/** As after SIGKILL, which what still ran gets. */
const killedStatus = 137;

/** Cleans up and gives the serialized answer. Throws where a process or mount is left. */
export async function deleteAction(flags: FlagValues<typeof shimFlags>): Promise<Uint8Array> {
  const { id, namespace } = flags;
  if (id === "") throw new Failure("InvalidArgument", "no id: give -id");
  const bundle = flags.bundle === "" ? bundleOf(id) : flags.bundle;
  const answer = answerIn(bundle);
  if (answer !== undefined) return answer;
  const options = readOptions(bundle);
  const warn = (text: string): void => console.error(text);
  const stateRoot = stateRootOf(options, namespace, bundle);
  const directory = new StateDirectory(stateRoot, id);
  const pid = pidOf(directory, bundle);
  const before = recordedExit(bundle, id);
  if (options.binaryName === "") {
    await deleteContainer(directory, { force: true, warn });
  } else {
    const { deleteByProgram } = await import("../../shim/task/program_engine.ts");
    await deleteByProgram({ id, bundle, options, namespace });
  }
  await unmountAll(`${bundle}/rootfs`);
  await removeSocketOf(bundle, warn);
  const exit = before ?? { pid, status: killedStatus, at: wallTimeMs() };
  return DeleteResponse.encode({ pid: exit.pid, exitStatus: exit.status, exitedAt: wireTime(exit.at) }).finish();
}

async function removeSocketOf(bundle: string, warn: (text: string) => void): Promise<void> {
  try {
    const address = Deno.readTextFileSync(`${bundle}/address`);
    await removeDeadSocket(new Reactor(), address.replace(/^unix:\/\//, ""));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) warn(`cannot remove the shim's socket: ${messageOf(error)}`);
  }
}

/** The answer that a shim has left when it deleted the container; the launcher gives it without us. */
function answerIn(bundle: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(`${bundle}/${deletedFile}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** containerd runs the action in the bundle of this container, or of another one beside it. */
function bundleOf(id: string): string {
  const here = Deno.cwd();
  return `${here.slice(0, here.lastIndexOf("/"))}/${id}`;
}

function pidOf(directory: StateDirectory, bundle: string): number {
  try {
    return directory.read().pid;
  } catch {
    // Another runtime's, or none any more.
  }
  try {
    return Number(Deno.readTextFileSync(`${bundle}/init.pid`)) || 0;
  } catch {
    return 0;
  }
}
