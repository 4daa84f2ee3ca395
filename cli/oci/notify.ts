/**
 * `$NOTIFY_SOCKET` of the runtime's caller: a service manager that wants to know when the container is ready.
 *
 * Loaded only where the variable is set.
 *
 * @module
 */
import { messageOf } from "../../api/errors.ts";
import type { Spec } from "../../api/oci/runtime_spec.ts";
import { flags } from "../../ffi/constants.ts";
import { Descriptor } from "../../ffi/descriptor.ts";
import { readLaunch } from "../../ffi/launch.ts";
import { openPidfd } from "../../ffi/process.ts";
import { Reactor } from "../../ffi/reactor.ts";
import { StateDirectory } from "../../shim/oci/container_state.ts";
import type { CreateOptions } from "../../shim/oci/create.ts";
import { addNotifySocket, bindNotifySocket, forwardReady, notifyDirectory } from "../../shim/oci/notify_socket.ts";
import { startContainer } from "../../shim/oci/start.ts";
import { isAlive } from "../../shim/oci/status.ts";

/** A container that is being made, and that can say when it is ready. */
export class Notified {
  /** For the container's creation. */
  readonly stateMount: NonNullable<CreateOptions["stateMount"]>;
  #socket: Descriptor | undefined;

  /** Changes the spec. With `listens` the container's first word is heard, otherwise its `start` is to listen. */
  constructor(root: string, id: string, spec: Spec, readonly host: string, listens: boolean) {
    const { path } = new StateDirectory(root, id);
    addNotifySocket(spec, path);
    this.stateMount = {
      source: notifyDirectory(path),
      prepare: () => {
        Deno.mkdirSync(notifyDirectory(path));
        // Whatever the caller's umask is: users of the container must come in.
        Deno.chmodSync(notifyDirectory(path), 0o755);
        if (listens) this.#socket = bindNotifySocket(path);
      },
    };
  }

  /** Passes the container's word on until it has ended. What goes wrong is a warning: the container runs. */
  async forward(reactor: Reactor, mainPid: number, ended: AbortSignal, warn: (text: string) => void): Promise<void> {
    if (this.#socket === undefined) return;
    try {
      await forwardReady(reactor, this.#socket, { host: this.host, mainPid, ended });
    } catch (error) {
      warn(messageOf(error));
    }
  }

  /** The same for a container that goes on without this process; the manager is to watch its init. */
  async forwardUntilEnd(
    reactor: Reactor,
    { pid, pidfd }: { readonly pid: number; readonly pidfd: number },
    warn: (text: string) => void,
  ): Promise<void> {
    await untilEnd(reactor, pidfd, (ended) => this.forward(reactor, pid, ended, warn));
  }
}

/** Starts a created container, and waits until it is ready or has ended. Throws what `start` and the telling throw. */
export async function startAndTell(directory: StateDirectory, host: string): Promise<void> {
  const { nofile } = readLaunch();
  const state = directory.read();
  // Nothing to start: it says why.
  if (!directory.isCreated() || !isAlive(state)) return await startContainer(directory, nofile);
  using reactor = new Reactor();
  using init = new Descriptor(openPidfd(state.pid));
  using socket = bindNotifySocket(directory.path);
  await startContainer(directory, nofile);
  await untilEnd(reactor, init.number, async (ended) => {
    await forwardReady(reactor, socket, { host, mainPid: state.pid, ended });
  });
}

/** Gives the work a signal that is aborted when the process of the pidfd has ended. */
async function untilEnd(
  reactor: Reactor,
  pidfd: number,
  work: (ended: AbortSignal) => Promise<void>,
): Promise<void> {
  const end = new AbortController();
  const watch = reactor.watch(pidfd, flags("EPOLLIN"), () => {
    watch.close();
    end.abort();
  });
  try {
    await work(end.signal);
  } finally {
    watch.close();
  }
}
