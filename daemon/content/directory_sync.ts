/**
 * Making names durable: a directory is synchronised once for all who wait for it at the time.
 *
 * @module
 */

/** What waits for one directory. */
interface Queue {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

const queues = new Map<string, Queue>();

/**
 * Resolves when every name that the directory has now is on disk. Off the main thread. Who comes while a synchronisation
 * runs cannot rely on that one, and shares the next with the others who came.
 */
export function syncDirectory(path: string): Promise<void> {
  const queue = queues.get(path);
  if (queue !== undefined) return queue.next ??= queue.running.then(() => start(path), () => start(path));
  return start(path);
}

function start(path: string): Promise<void> {
  const queue: Queue = { running: synchronize(path), next: undefined };
  queues.set(path, queue);
  const done = () => {
    if (queues.get(path) === queue && queue.next === undefined) queues.delete(path);
  };
  queue.running.then(done, done);
  return queue.running;
}

async function synchronize(path: string): Promise<void> {
  using directory = Deno.openSync(path);
  await directory.sync();
}
