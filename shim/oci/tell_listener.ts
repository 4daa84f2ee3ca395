/**
 * Gives a seccomp filter's descriptor to the process that answers for the container: what the filter asks about is decided
 * there (seccomp_unotify(2); runtime-spec `config-linux.md`, "The Container Process State").
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { SyscallError } from "../../ffi/errno.ts";
import { sendDescriptor } from "../../ffi/send_descriptor.ts";
import { connectUnix } from "../../ffi/socket.ts";
import { call } from "../../ffi/syscall.ts";
import type { ContainerState } from "./container_state.ts";
import type { Launched } from "./launch.ts";
import type { Stop } from "./plan/stops.ts";
import { specVersion } from "./spec/version.ts";

/** A process of a container that waits with its filter on. */
export interface FilteredProcess {
  readonly spec: Spec;
  readonly state: ContainerState;
  readonly launched: Launched;
  readonly status: "creating" | "running";
}

/**
 * Sends the descriptor with the state of the process, in one message, over a connection of its own. Throws `Unavailable`
 * where nobody listens.
 */
export function tellListener({ descriptor }: Stop & { kind: "listener" }, process: FilteredProcess): void {
  const { spec, launched: { child } } = process;
  const path = spec.linux?.seccomp?.listenerPath ?? "";
  using filter = new Descriptor(call("pidfd_getfd", child.pidfd, Number(child.resultIn(descriptor)), 0));
  try {
    using socket = connectUnix(path, { waits: false });
    sendDescriptor(socket.number, filter.number, processState(process));
  } catch (error) {
    if (!(error instanceof SyscallError || error instanceof RangeError)) throw error;
    throw new Failure("Unavailable", `unable to connect to the seccomp listener "${path}": ${error.message}`, {
      cause: error,
    });
  }
}

/** The state as JSON. `pid` is the new process's, `state.pid` the container's init. */
export function processState({ spec, state, launched, status }: FilteredProcess): string {
  const { listenerMetadata } = spec.linux?.seccomp ?? {};
  const { annotations } = spec;
  return JSON.stringify({
    ociVersion: specVersion,
    fds: ["seccompFd"],
    pid: launched.child.pid,
    ...(listenerMetadata ? { metadata: listenerMetadata } : {}),
    state: {
      ociVersion: specVersion,
      id: state.id,
      status,
      pid: state.pid,
      bundle: state.bundle,
      ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
  });
}
