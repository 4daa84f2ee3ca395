/**
 * Making files durable: a directory, or a whole file system, is synchronised once for all who wait for it at the time.
 *
 * @module
 */
import { constant, flags } from "../../ffi/constants.ts";
import { errnoNumber, SyscallError } from "../../ffi/errno.ts";
import { attempt, callOnThread } from "../../ffi/syscall.ts";

/** What waits for one place. */
interface Queue {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

type Queues = Map<string, Queue>;

const directories: Queues = new Map();
const fileSystems: Queues = new Map();

/** Resolves when every name that the directory has now is on disk. Off the main thread. */
export function syncDirectory(path: string): Promise<void> {
  return share(directories, path, synchronizeDirectory);
}

/**
 * Resolves when everything is on disk that was written to the file system of this directory until now. Off the main
 * thread. It waits for what others have written there as well.
 */
export function syncFileSystem(directory: string): Promise<void> {
  return share(fileSystems, directory, synchronizeFileSystem);
}

/** Who comes while a synchronisation runs cannot rely on that one, and shares the next with the others who came. */
function share(queues: Queues, path: string, synchronize: (path: string) => Promise<void>): Promise<void> {
  const start = (): Promise<void> => {
    const queue: Queue = { running: synchronize(path), next: undefined };
    queues.set(path, queue);
    const done = () => {
      if (queues.get(path) === queue && queue.next === undefined) queues.delete(path);
    };
    queue.running.then(done, done);
    return queue.running;
  };
  const queue = queues.get(path);
  return queue === undefined ? start() : queue.next ??= queue.running.then(start, start);
}

async function synchronizeDirectory(path: string): Promise<void> {
  using directory = Deno.openSync(path);
  await directory.sync();
}

async function synchronizeFileSystem(path: string): Promise<void> {
  const fd = attempt("openat", constant("AT_FDCWD"), path, flags("O_RDONLY", "O_DIRECTORY", "O_CLOEXEC"), 0);
  if (fd < 0) throw new SyscallError("openat", -fd, path);
  try {
    // Why it failed is lost on that thread, and would be told once only: it is the disk.
    if (await callOnThread("syncfs", fd) < 0) throw new SyscallError("syncfs", errnoNumber("EIO"), path);
  } finally {
    attempt("close", fd);
  }
}
