/**
 * Told by the kernel when a container has no memory left.
 *
 * @module
 */
import { flags } from "../../ffi/constants.ts";
import { Descriptor, openFile, readOnce } from "../../ffi/descriptor.ts";
import { isErrno } from "../../ffi/errno.ts";
import type { Reactor, Watch } from "../../ffi/reactor.ts";
import { call } from "../../ffi/syscall.ts";
import { readControlIfThere, writeControl } from "../oci/cgroup/control_file.ts";
import type { ContainerCgroups } from "./container_cgroups.ts";

/** Ends with {@link OutOfMemoryWatch.close}. */
export interface OutOfMemoryWatch {
  close(): void;
}

/** IN_MODIFY of inotify(7). */
const modified = 2;

/**
 * Calls `tell` each time the kernel has run out of memory in the cgroup. Undefined where there is nothing to be watched.
 * Throws {@link SyscallError}.
 */
export function watchOutOfMemory(
  reactor: Reactor,
  cgroups: ContainerCgroups | undefined,
  tell: () => void,
): OutOfMemoryWatch | undefined {
  const directory = cgroups?.directory("memory");
  if (cgroups === undefined || directory === undefined) return undefined;
  return cgroups.version === 1 ? watchVersion1(reactor, directory, tell) : watchVersion2(reactor, directory, tell);
}

/** admin-guide/cgroup-v1/memory.rst, 10. OOM Control: an eventfd, which is told as well when the cgroup goes. */
function watchVersion1(reactor: Reactor, directory: string, tell: () => void): OutOfMemoryWatch {
  const event = new Descriptor(call("eventfd2", 0, flags("O_CLOEXEC", "O_NONBLOCK")));
  try {
    using control = openFile(`${directory}/memory.oom_control`, flags("O_RDONLY"));
    writeControl(`${directory}/cgroup.event_control`, `${event.number} ${control.number}`);
  } catch (error) {
    event.close();
    throw error;
  }
  return watchDescriptor(reactor, event, 8, () => {
    if (readControlIfThere(`${directory}/memory.oom_control`) !== undefined) tell();
  });
}

/** admin-guide/cgroup-v2.rst: `memory.events` is modified with each event; `oom_kill` counts the killed processes. */
function watchVersion2(reactor: Reactor, directory: string, tell: () => void): OutOfMemoryWatch {
  const path = `${directory}/memory.events`;
  const notify = new Descriptor(call("inotify_init1", flags("O_CLOEXEC", "O_NONBLOCK")));
  try {
    call("inotify_add_watch", notify.number, path, modified);
  } catch (error) {
    notify.close();
    throw error;
  }
  let seen = killsIn(path);
  return watchDescriptor(reactor, notify, 4096, () => {
    const kills = killsIn(path);
    if (kills > seen) tell();
    seen = kills;
  });
}

function killsIn(path: string): number {
  return Number(/^oom_kill (\d+)$/m.exec(readControlIfThere(path) ?? "")?.[1] ?? 0);
}

function watchDescriptor(reactor: Reactor, descriptor: Descriptor, size: number, look: () => void): OutOfMemoryWatch {
  const buffer = new Uint8Array(size);
  let open = true;
  const ready = (): void => {
    try {
      readOnce(descriptor.number, buffer);
    } catch (error) {
      if (!isErrno(error, "EAGAIN", "EINTR")) throw error;
      return;
    }
    look();
  };
  let watch: Watch;
  try {
    watch = reactor.watch(descriptor.number, flags("EPOLLIN"), ready);
  } catch (error) {
    descriptor.close();
    throw error;
  }
  return {
    close: () => {
      if (!open) return;
      open = false;
      watch.close();
      descriptor.close();
    },
  };
}
