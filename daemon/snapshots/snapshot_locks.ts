/**
 * Locks of snapshots: of those in the making, and of those in use.
 *
 * @module
 */
import { Failure } from "../../api/errors.ts";
import { removeIfThere } from "../../ffi/if_there.ts";
import { FileLock } from "../leases/file_lock.ts";

/** Each attempt fails only where a cleaner looks between two neighbouring calls: so many in a row mean something else. */
const freshAttemptsMax = 100;

/** The locks of one snapshotter's directory, which has `snapshots` and `locks` in it. */
export class SnapshotLocks {
  constructor(private readonly directory: string) {}

  #path(id: number): string {
    return `${this.directory}/locks/${id}`;
  }

  /**
   * A new directory, locked so that nobody takes it for the leftover of a process that died. Whoever cleans up may look
   * between the two calls, and take it away: then another one is made. Throws `Unavailable`.
   */
  makeFresh(): FileLock {
    for (let attempt = 0; attempt < freshAttemptsMax; attempt++) {
      const path = `${this.directory}/snapshots/new-${crypto.randomUUID()}`;
      Deno.mkdirSync(path, { mode: 0o700 });
      try {
        const lock = FileLock.tryAcquire(path);
        if (lock !== undefined) return lock;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    throw new Failure("Unavailable", `cannot make a directory in "${this.directory}": others take each new one away`);
  }

  /** Waits for the lock of a name. `name` is unique among all namespaces. */
  async lockName(name: string, signal: AbortSignal): Promise<FileLock> {
    const path = `${this.directory}/locks/make-${encodeURIComponent(name)}`;
    return await FileLock.acquire(path, signal, { create: true });
  }

  /** The lock of the snapshot with this id. Throws `Unavailable`, with its key in the text. */
  lock(id: number, key: string): FileLock {
    const lock = FileLock.tryAcquire(this.#path(id), { create: true });
    if (lock !== undefined) return lock;
    throw new Failure(
      "Unavailable",
      `snapshot "${key}" is in use by another process: wait until its container has ended`,
    );
  }

  /** Whether somebody has it now. */
  isLocked(id: number): boolean {
    try {
      const lock = FileLock.tryAcquire(this.#path(id));
      lock?.release();
      return lock === undefined;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** Removes the lock's file of a snapshot that is gone. */
  forget(id: number): void {
    removeIfThere(this.#path(id));
  }
}
